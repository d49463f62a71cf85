/*
 * fuzz_tmpl.c - any bytes as a template, over a document that has every kind of value.
 *
 * The first byte chooses the flags.  Budgets are small, so that the fuzzer finds crashes and not
 * loops; a run that takes long is a finding as well.
 */
#include <stdint.h>

#include "tmpl/tmpl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int method(void *user, const json_t *receiver, size_t argc, json_t *const *argv, json_t **out,
                  struct bh_err *err) {
    (void)user;
    (void)receiver;
    (void)err;
    *out = argc > 0 ? json_incref(argv[0]) : NULL;
    return 0;
}

static json_t *document(void) {
    return json_loads(
        "{\"Id\":\"sha256:0123\",\"L\":[\"a\",\"b\",3,4.5,null,true,[1,2],{\"k\":\"v\"}],\"Labels\":{\"a\":\"z\"},"
        "\"M\":{\"x\":{\"y\":[1,2,3]}},\"N\":null,\"S\":\"gr\xc3\xb6\xc3\x9f"
        "e <&>\",\"I\":-7,\"T\":true}",
        0, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static const struct bh_tmpl_method methods[] = {{"Label", 0, 3, method, NULL}, {NULL, 0, 0, NULL, NULL}};
    static json_t *root;
    struct bh_tmpl_opts opts = {
        .methods = methods, .open_maps = bh_tmpl_open_maps, .max_steps = 5000, .max_bytes = 1 << 20};
    struct bh_buf out = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;
    struct bh_tmpl *t = NULL;

    if (!root)
        root = document();
    if (n < 1)
        return 0;
    opts.flags = data[0] & 15;
    if (bh_tmpl_parse((const char *)data + 1, n - 1, opts.flags, &t, &err) == 0)
        bh_tmpl_exec(t, root, &opts, &out, &err);
    bh_tmpl_free(t);
    bh_buf_fini(&out);
    return 0;
}
