# What registries answer, and the administrator's files about them.
if(TARGET bh_registry)
  foreach(target challenge link answer rules)
    bh_fuzz(fuzz_reg_${target} SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_reg_${target}.c LINK bh_registry bh_nng_compat)
  endforeach()
endif()
