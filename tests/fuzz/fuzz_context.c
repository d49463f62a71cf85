/*
 * fuzz_context.c - the list of a context as a client sends it, and as a worker has written it.
 *
 * Held to: no crash; what is refused has a reason; whatever list is accepted can be walked to its end.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fdio.h"
#include "unpack/context_read.h"
#include "unpack/job.h"
#include "unpack/view.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse(const uint8_t *data, size_t size) {
    static struct unp_context c;
    struct bh_job_params p = {.magic = BH_JOB_PARAMS_MAGIC, .size = BH_JOB_TO_END, .max_entries = 2000};
    struct bh_err err = BH_ERR_INIT;

    unp_params_settle(&p, &err);
    if (unp_context_init(&c, &p, &err) != 0)
        abort();
    int rc = unp_context_parse(&c, data, size, &err);
    if (rc != err.code || (rc != 0 && err.msg[0] == '\0'))
        abort();
    unp_context_fini(&c);
}

static uint32_t walk(const struct unp_vnode *dir) {
    struct unp_vnames names;
    struct unp_file f;
    struct bh_err err = BH_ERR_INIT;
    uint32_t n = 0;

    if (unp_view_list(dir, &names, &err) != 0)
        abort();
    for (size_t i = 0; i < names.n; i++) {
        const struct unp_vnode *again;

        if (unp_view_file(names.v[i].node, &f, &err) != 0 || unp_view_lookup(dir, names.v[i].name, &again, &err) != 0 ||
            again == NULL || again->mode != f.mode)
            abort();
        n += 1 + walk(names.v[i].node);
    }
    unp_vnames_fini(&names);
    return n;
}

static void view(const uint8_t *data, size_t size) {
    static int pack = -1;
    int list = memfd_create("list", MFD_CLOEXEC);
    struct bh_context_head head;
    struct unp_view v;
    struct bh_arena arena;
    struct bh_err err = BH_ERR_INIT;

    if (pack < 0) {
        pack = memfd_create("pack", MFD_CLOEXEC);
        bh_pwrite_all(pack, "0123456789", 10, 0);
    }
    bh_pwrite_all(list, data, size, 0);
    if (size >= sizeof head) { /* a head that fits, mostly */
        memcpy(&head, data, sizeof head);
        memcpy(head.magic, BH_CONTEXT_MAGIC, sizeof head.magic);
        head.size = size;
        head.entries %= 64;
        head.packs %= 3;
        bh_pwrite_all(list, &head, sizeof head, 0);
    }
    bh_arena_init(&arena, (size_t)4 << 20);
    if (unp_view_context(&v, list, &pack, 1, &arena, &err) == 0 && walk(v.root) != v.n_records)
        abort();
    unp_view_fini(&v);
    bh_arena_fini(&arena);
    close(list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    if (data[0] % 2 == 0)
        parse(data + 1, size - 1);
    else
        view(data + 1, size - 1);
    return 0;
}
