# The worker's readers; layers that they write are held against launch's verifier.
if(TARGET bh_unpack AND TARGET bh_rightless)
  bh_fuzz(fuzz_tar SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_tar.c LINK bh_unpack bh_rightless)
  bh_fuzz(fuzz_layer_job SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_layer_job.c LINK bh_unpack bh_rightless)
  bh_fuzz(fuzz_document SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_document.c LINK bh_unpack)
  bh_fuzz(fuzz_archive SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_archive.c LINK bh_unpack)
  bh_fuzz(fuzz_context SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_context.c LINK bh_unpack)
  bh_fuzz(fuzz_compose SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_compose.c LINK bh_unpack bh_rightless)
endif()
