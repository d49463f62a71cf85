/*
 * test_table.c - every row of every service's table: tried with the wrong role, kind, size, bytes and
 * descriptors; compared with the .proto file; and written down in docs/protocol.md.
 *
 *   test_table            the test
 *   test_table --write    puts the table into docs/protocol.md
 *
 * The rows are the rooms' own; only their handlers are replaced, by one that counts.  What the dispatcher
 * has to refuse must not reach it.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/mem.h"
#include "rawsp.h"
#include "rpc/server.h"

extern const struct bh_service store_service, registry_service, build_service, rt_service;

static const struct table {
    const struct bh_service *service;
    const char *room;
} tables[] = {
    {&store_service, "store"}, {&registry_service, "registry"}, {&build_service, "build"}, {&rt_service, "runtime"}};

static const char *const kinds[] = {"unary", "server stream", "client stream", "both stream"};

/* ---- the rows and the .proto files ----------------------------------------------------------- */

/* "rpc Name(stream X) returns (stream Y)" -> kind, -1 when there is no such line. */
static int kind_in_proto(const char *proto, const char *name) {
    BH_SCOPE_FREE char *start = bh_xasprintf("rpc %s(", name);
    const char *at = strstr(proto, start), *back;

    if (at == NULL)
        return -1;
    at += strlen(start);
    back = strstr(at, "returns (");
    if (back == NULL)
        return -1;
    return (strncmp(at, "stream ", 7) == 0 ? 2 : 0) + (strncmp(back + 9, "stream ", 7) == 0 ? 1 : 0);
}

static void read_proto(const char *room, struct bh_buf *out) {
    struct bh_err err = BH_ERR_INIT;
    BH_SCOPE_FREE char *path = bh_xasprintf(BH_SOURCE_DIR "/proto/%s.proto", room);

    if (bh_file_read(-100 /* AT_FDCWD */, path, 1 << 20, out, &err) != 0)
        fail_msg("%s", err.msg);
}

static void rows_match_the_contract(void **state) {
    (void)state;
    for (unsigned t = 0; t < BH_ARRAY_LEN(tables); t++) {
        const struct bh_service *s = tables[t].service;
        BH_SCOPE_BUF struct bh_buf proto = BH_BUF_INIT;

        read_proto(tables[t].room, &proto);
        for (unsigned i = 0; i < s->n_methods; i++) {
            const struct bh_method *m = &s->methods[i];

            if (protobuf_c_service_descriptor_get_method_by_name(s->desc, m->name) == NULL)
                fail_msg("%s: the row %s is no method of %s", tables[t].room, m->name, s->desc->name);
            if (kind_in_proto(bh_buf_str(&proto), m->name) != (int)m->kind)
                fail_msg("%s: %s is %s in its row, not in the .proto file", tables[t].room, m->name, kinds[m->kind]);
            if (m->roles == 0 || m->handler == NULL)
                fail_msg("%s: nobody may call %s, or nothing answers", tables[t].room, m->name);
            if (m->max_request > BH_FRAME_MAX_CHUNK)
                print_message("note: %s: %s allows %u bytes, a message carries 1 MiB\n", tables[t].room, m->name,
                              m->max_request);
            for (unsigned k = 0; k < i; k++)
                assert_string_not_equal(s->methods[k].name, m->name);
        }
    }
}

/* ---- the rows and the dispatcher ------------------------------------------------------------- */

static atomic_uint handled;

static int counting(void *room, struct bh_call *call, const ProtobufCMessage *request, struct bh_err *err) {
    (void)room;
    (void)call;
    (void)request;
    atomic_fetch_add(&handled, 1);
    return bh_err_set(err, BH_E_RANGE, "reached"); /* a status that the dispatcher itself never gives */
}

#define REACHED          11
#define ROLES_UID(roles) (10000u + (roles)) /* a user that has exactly these roles */

static unsigned roles_of(void *arg, uid_t uid, gid_t gid) {
    (void)arg;
    (void)gid;
    return uid >= 10000 && uid < 10256 ? uid - 10000 : 0;
}

struct probe {
    const struct bh_service *service;
    struct bh_method rows[64];
    struct bh_service copy;
    char dir[64];
    struct bh_server *server;
    pthread_t thread;
};

static void *serve(void *arg) {
    struct bh_err err = BH_ERR_INIT;

    (void)bh_server_run(arg, &err);
    return NULL;
}

static void probe_start(struct probe *p, const struct table *t) {
    struct bh_err err = BH_ERR_INIT;
    struct bh_server_config c = {.dir = p->dir,
                                 .mode = 0666,
                                 .service_name = t->room,
                                 .services = &p->copy,
                                 .n_services = 1,
                                 .roles_of = roles_of};

    p->service = t->service;
    assert_true(t->service->n_methods <= BH_ARRAY_LEN(p->rows));
    memcpy(p->rows, t->service->methods, t->service->n_methods * sizeof *p->rows);
    for (unsigned i = 0; i < t->service->n_methods; i++)
        p->rows[i].handler = counting;
    p->copy = (struct bh_service){t->service->desc, p->rows, t->service->n_methods};
    snprintf(p->dir, sizeof p->dir, "/tmp/bh-table-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    assert_int_equal(chmod(p->dir, 0755), 0);
    if (bh_server_listen(&c, &p->server, &err) != 0)
        fail_msg("%s", err.msg);
    pthread_create(&p->thread, NULL, serve, p->server);
}

static void probe_stop(struct probe *p) {
    static const char *const names[] = {"rpc.sock", "fd.sock"};

    bh_server_stop(p->server);
    pthread_join(p->thread, NULL);
    bh_server_free(p->server);
    for (unsigned i = 0; i < 2; i++) {
        BH_SCOPE_FREE char *path = bh_xasprintf("%s/%s", p->dir, names[i]);

        unlink(path);
    }
    rmdir(p->dir);
}

/* Opens the method as told; the status of the DONE that comes in the end. */
static unsigned try(struct probe *p, const struct bh_method *m, unsigned roles, bool stream, unsigned fds,
                    const void *payload, size_t n) {
    static struct raw_reply r;
    BH_SCOPE_FREE char *path = bh_xasprintf("%s/%s", p->service->desc->name, m->name);
    bh_envelope env = BH_ENVELOPE_INIT;
    int fd = raw_connect_as(p->dir, ROLES_UID(roles));
    unsigned status;

    assert_true(fd >= 0);
    env.kind = BH_KIND(OPEN);
    env.call = 1;
    env.method = path;
    env.stream = stream;
    env.fds = fds;
    assert_int_equal(raw_send_frame(fd, 1, &env, payload, n), 0);
    if (!raw_recv(fd, &r))
        fail_msg("%s: no answer", path);
    if (r.frame.env->kind == BH_KIND(ACCEPTED)) {
        bh_envelope pull = BH_ENVELOPE_INIT;

        pull.kind = BH_KIND(PULL);
        pull.call = 1;
        assert_int_equal(raw_send_frame(fd, 2, &pull, NULL, 0), 0);
        if (!raw_recv(fd, &r))
            fail_msg("%s: no answer to PULL", path);
    }
    assert_int_equal(r.frame.env->kind, BH_KIND(DONE));
    status = r.frame.env->status;
    close(fd);
    return status;
}

static void expect(const struct bh_method *m, const char *what, unsigned got, unsigned want) {
    if (got != want)
        fail_msg("%s, %s: status %u, not %u", m->name, what, got, want);
}

static unsigned a_role(unsigned roles) {
    return roles & (~roles + 1u); /* the lowest */
}

static void refused_cases(struct probe *p, const struct bh_method *m, uint8_t *big) {
    uint32_t max = m->max_request != 0 ? m->max_request : 256u << 10;
    unsigned role = a_role(m->roles & BH_ROLE_ANY), others = BH_ROLE_ANY & ~m->roles, before = atomic_load(&handled);
    bool stream = m->kind != BH_UNARY;
    /* a length that goes past the end; a field number 0; an endless varint */
    static const struct {
        const char *bytes;
        size_t n;
    } broken[] = {{"\x0a\x05"
                   "ab",
                   4},
                  {"\0\0", 2},
                  {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12}};

    expect(m, "no role", try(p, m, 0, stream, 0, NULL, 0), 7);
    if (others != 0)
        expect(m, "other roles", try(p, m, others, stream, 0, NULL, 0), 7);
    if (max < BH_FRAME_MAX_CHUNK)
        expect(m, "too large", try(p, m, role, stream, 0, big, max + 1), 8);
    if (stream)
        expect(m, "not as a stream", try(p, m, role, false, 0, NULL, 0), 3);
    if ((m->flags & BH_METHOD_FDS) == 0)
        expect(m, "with descriptors", try(p, m, role, true, 1, NULL, 0), 3);
    for (unsigned i = 0; i < BH_ARRAY_LEN(broken); i++)
        expect(m, "broken bytes", try(p, m, role, stream, 0, broken[i].bytes, broken[i].n), 3);
    assert_int_equal(atomic_load(&handled), before);
}

static void rows_are_kept(void **state) {
    uint8_t *big = calloc(1, BH_FRAME_MAX_CHUNK);

    (void)state;
    if (geteuid() != 0)
        skip();
    for (unsigned t = 0; t < BH_ARRAY_LEN(tables); t++) {
        struct probe p = {0};

        probe_start(&p, &tables[t]);
        for (unsigned i = 0; i < p.copy.n_methods; i++) {
            const struct bh_method *m = &p.rows[i];

            refused_cases(&p, m, big);
            for (unsigned role = 1; role <= BH_ROLE_RUNTIME; role <<= 1) {
                if ((m->roles & role) != 0)
                    expect(m, "allowed", try(&p, m, role, m->kind != BH_UNARY, 0, NULL, 0), REACHED);
            }
        }
        probe_stop(&p);
    }
    free(big);
}

/* ---- the rows and docs/protocol.md ----------------------------------------------------------- */

static void add_names(struct bh_buf *b, unsigned bits, const char *const *names, unsigned n, const char *all) {
    const char *sep = "";

    if (all != NULL && bits == BH_ROLE_ANY) {
        bh_buf_adds(b, all);
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        if ((bits & 1u << i) == 0)
            continue;
        bh_buf_addf(b, "%s%s", sep, names[i]);
        sep = ", ";
    }
}

/* A message carries 1 MiB, whatever a row says. */
static uint32_t max_request(const struct bh_method *m) {
    if (m->max_request == 0)
        return 256u << 10;
    return m->max_request < BH_FRAME_MAX_CHUNK ? m->max_request : (uint32_t)BH_FRAME_MAX_CHUNK;
}

static void add_row(struct bh_buf *b, const struct bh_service *s, const struct bh_method *m) {
    static const char *const roles[] = {"admin", "user", "store", "registry", "build", "runtime"};
    static const char *const flags[] = {"idempotent", "fds", "audited", "secret"};
    const ProtobufCMethodDescriptor *d = protobuf_c_service_descriptor_get_method_by_name(s->desc, m->name);

    bh_buf_addf(b, "| %s | %s | %s | %s | ", m->name, kinds[m->kind], d->input->short_name, d->output->short_name);
    add_names(b, m->roles, roles, BH_ARRAY_LEN(roles), "anybody");
    bh_buf_addf(b, " | %u | ", max_request(m) >> 10);
    if (m->deadline_ms != 0)
        bh_buf_addf(b, "%u s", m->deadline_ms / 1000);
    bh_buf_adds(b, " | ");
    add_names(b, m->flags, flags, BH_ARRAY_LEN(flags), NULL);
    bh_buf_adds(b, " |\n");
}

static void make_section(struct bh_buf *b) {
    for (unsigned t = 0; t < BH_ARRAY_LEN(tables); t++) {
        const struct bh_service *s = tables[t].service;

        bh_buf_addf(b, "\n### %s: `%s`\n\n", tables[t].room, s->desc->name);
        bh_buf_adds(
            b,
            "| method | kind | request | reply | who | KiB | at most | flags |\n|---|---|---|---|---|---|---|---|\n");
        for (unsigned i = 0; i < s->n_methods; i++)
            add_row(b, s, &s->methods[i]);
    }
    bh_buf_adds(b, "\n");
}

#define DOC   BH_SOURCE_DIR "/docs/protocol.md"
#define START "<!-- methods -->\n"
#define END   "<!-- /methods -->"

/* The document with the section that the code makes. */
static int make_document(struct bh_buf *old, struct bh_buf *out, struct bh_err *err) {
    const char *start, *end;

    if (bh_file_read(-100, DOC, 1 << 20, old, err) != 0)
        return err->code;
    start = strstr(bh_buf_str(old), START);
    end = strstr(bh_buf_str(old), END);
    if (start == NULL || end == NULL || end < start)
        return bh_err_set(err, BH_E_INVALID, "%s has no section of methods", DOC);
    bh_buf_add(out, bh_buf_str(old), (size_t)(start + strlen(START) - bh_buf_str(old)));
    make_section(out);
    bh_buf_adds(out, end);
    return 0;
}

static void document_tells_the_rows(void **state) {
    BH_SCOPE_BUF struct bh_buf old = BH_BUF_INIT, new = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;

    (void)state;
    if (make_document(&old, &new, &err) != 0)
        fail_msg("%s", err.msg);
    if (strcmp(bh_buf_str(&old), bh_buf_str(&new)) != 0)
        fail_msg("docs/protocol.md does not tell the methods as they are: run test_table --write");
}

static int write_document(void) {
    BH_SCOPE_BUF struct bh_buf old = BH_BUF_INIT, new = BH_BUF_INIT;
    struct bh_err err = BH_ERR_INIT;

    if (make_document(&old, &new, &err) != 0 ||
        bh_file_replace(-100, DOC, bh_buf_str(&new), new.len, 0644, false, &err) != 0) {
        fprintf(stderr, "test_table: %s\n", err.msg);
        return 1;
    }
    return 0;
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_match_the_contract),
        cmocka_unit_test(rows_are_kept),
        cmocka_unit_test(document_tells_the_rows),
    };

    if (argc > 1 && strcmp(argv[1], "--write") == 0)
        return write_document();
    bh_log_level(BH_LOG_ERR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
