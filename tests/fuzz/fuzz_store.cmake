# What a worker hands back to the store, and the walk over a layer's index that `image diff` needs.
if(TARGET bh_store AND TARGET bh_unpack)
  bh_fuzz(fuzz_store_result SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_store_result.c LINK bh_store)
  bh_fuzz(fuzz_entries SOURCES ${CMAKE_CURRENT_LIST_DIR}/fuzz_entries.c LINK bh_unpack)
endif()
