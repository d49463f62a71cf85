bh_fuzz(fuzz_tmpl SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/fuzz_tmpl.c LINK bh_tmpl)
