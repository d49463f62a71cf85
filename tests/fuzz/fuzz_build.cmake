# The Dockerfile, its variables, and .dockerignore.
bh_fuzz(fuzz_dockerfile SOURCES fuzz_dockerfile.c LINK bh_recipe)
bh_fuzz(fuzz_expand SOURCES fuzz_expand.c LINK bh_recipe)
bh_fuzz(fuzz_dockerignore SOURCES fuzz_dockerignore.c LINK bh_ignore)
bh_fuzz(fuzz_owner SOURCES fuzz_owner.c LINK bh_build bh_recipe bh_oci)
if(TARGET fuzz_owner)
  target_include_directories(fuzz_owner PRIVATE ${CMAKE_SOURCE_DIR}/svc-build)
endif()
