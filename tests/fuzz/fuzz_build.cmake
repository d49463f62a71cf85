# The Dockerfile, its variables, and .dockerignore.
bh_fuzz(fuzz_dockerfile SOURCES fuzz_dockerfile.c LINK bh_recipe)
bh_fuzz(fuzz_expand SOURCES fuzz_expand.c LINK bh_recipe)
bh_fuzz(fuzz_dockerignore SOURCES fuzz_dockerignore.c LINK bh_ignore)
# What lies in images: account files, and the cache that one carries.
foreach(t owner cache_line)
  bh_fuzz(fuzz_${t} SOURCES fuzz_${t}.c LINK bh_build bh_recipe bh_oci)
  if(TARGET fuzz_${t})
    target_include_directories(fuzz_${t} PRIVATE ${CMAKE_SOURCE_DIR}/svc-build)
  endif()
endforeach()
