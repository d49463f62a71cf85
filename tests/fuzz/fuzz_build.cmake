# The Dockerfile, its variables, and .dockerignore.
bh_fuzz(fuzz_dockerfile SOURCES fuzz_dockerfile.c LINK bh_recipe)
bh_fuzz(fuzz_expand SOURCES fuzz_expand.c LINK bh_recipe)
bh_fuzz(fuzz_dockerignore SOURCES fuzz_dockerignore.c LINK bh_ignore)
