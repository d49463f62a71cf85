# Names, documents and instructions: lib/oci and lib/conf.
bh_fuzz(fuzz_ref SOURCES fuzz_ref.c LINK bh_oci)
bh_fuzz(fuzz_json_manifest SOURCES fuzz_json_manifest.c LINK bh_oci)
bh_fuzz(fuzz_json_config SOURCES fuzz_json_config.c LINK bh_oci)
bh_fuzz(fuzz_seccomp SOURCES fuzz_seccomp.c LINK bh_oci)
bh_fuzz(fuzz_change SOURCES fuzz_change.c LINK bh_oci)
bh_fuzz(fuzz_conf SOURCES fuzz_conf.c LINK bh_conf)
