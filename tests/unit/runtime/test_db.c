/* The rows of containers, over a real file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sqlite3.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/mem.h"
#include "svc-runtime/db.h"

static char path[64];

static int setup(void **state) {
    char dir[] = "/tmp/bh-rt-db-XXXXXX";

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/c.db", dir);
    return 0;
}

static int teardown(void **state) {
    char other[80];

    (void)state;
    unlink(path);
    snprintf(other, sizeof other, "%s-wal", path);
    unlink(other);
    snprintf(other, sizeof other, "%s-shm", path);
    unlink(other);
    *strrchr(path, '/') = 0;
    rmdir(path);
    return 0;
}

static struct rt_record record(const char *id, const char *name, uid_t owner, int64_t created) {
    return (struct rt_record){.id = id,
                              .name = name,
                              .owner = owner,
                              .created_ns = created,
                              .image = "debian:12",
                              .image_id = "sha256:aa",
                              .image_ref = "docker.io/library/debian:12",
                              .spec = {"sp\0ec", 5},
                              .request = {"req", 3},
                              .config = {"", 0},
                              .stop_signal = 15,
                              .stop_timeout = -1,
                              .auto_remove = true,
                              .oci = 2,
                              .status = {.state = RT_EXITED,
                                         .exit_code = 3,
                                         .error = "why",
                                         .started_ns = 5,
                                         .finished_ns = 6,
                                         .oom_killed = true,
                                         .restarts = 2,
                                         .id_base = UINT64_C(1) << 32}};
}

static struct rt_db *open_db(void) {
    struct bh_err err = BH_ERR_INIT;
    struct rt_db *db = NULL;

    if (rt_db_open(path, &db, &err) != 0)
        fail_msg("%s", err.msg);
    return db;
}

struct seen {
    unsigned n;
    char names[64];
    int oci[4];
    struct rt_status last;
};

static int see(void *arg, const struct rt_record *r, struct bh_err *err) {
    struct seen *s = arg;

    (void)err;
    s->oci[s->n++ % 4] = r->oci;
    strncat(s->names, r->name, sizeof s->names - strlen(s->names) - 1);
    strncat(s->names, " ", sizeof s->names - strlen(s->names) - 1);
    s->last = r->status;
    assert_string_equal(r->image_ref, "docker.io/library/debian:12");
    assert_int_equal(r->spec.n, 5);
    assert_memory_equal(r->spec.data, "sp\0ec", 5);
    assert_int_equal(r->config.n, 0);
    assert_int_equal(r->stop_timeout, -1);
    assert_true(r->auto_remove);
    return 0;
}

static void rows_come_back(void **state) {
    struct bh_err err = BH_ERR_INIT;
    struct rt_db *db = open_db();
    struct rt_record late = record("id1", "late", 1000, 20), early = record("id2", "early", 1000, 10);
    struct seen seen = {0};

    (void)state;
    assert_int_equal(rt_db_insert(db, &late, &err), 0);
    assert_int_equal(rt_db_insert(db, &early, &err), 0);
    rt_db_close(db);
    db = open_db();
    assert_int_equal(rt_db_load(db, see, &seen, &err), 0);
    assert_string_equal(seen.names, "early late ");
    assert_memory_equal(&seen.last, &late.status, sizeof seen.last);
    assert_int_equal(seen.oci[0], 2);
    assert_int_equal(rt_db_set_oci(db, "id2", 1, &err), 0);
    assert_int_equal(rt_db_load(db, see, &seen, &err), 0);
    assert_int_equal(seen.oci[2], 1);
    assert_int_equal(seen.oci[3], 2);
    rt_db_close(db);
}

/* A file of version 1: which OCI runtime has its containers is not known. */
static void an_older_schema_is_carried_over(void **state) {
    struct bh_err err = BH_ERR_INIT;
    struct rt_db *db = open_db();
    struct rt_record a = record("id1", "web", 1000, 1);
    struct seen seen = {0};
    sqlite3 *h = NULL;

    (void)state;
    assert_int_equal(rt_db_insert(db, &a, &err), 0);
    rt_db_close(db);
    assert_int_equal(sqlite3_open(path, &h), SQLITE_OK);
    assert_int_equal(sqlite3_exec(h, "ALTER TABLE container DROP COLUMN oci; PRAGMA user_version=1;", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(h);
    for (int i = 0; i < 2; i++) {
        db = open_db();
        assert_int_equal(rt_db_load(db, see, &seen, &err), 0);
        rt_db_close(db);
        assert_int_equal(seen.n, i + 1);
        assert_int_equal(seen.oci[i], -1);
    }
}

static void names_are_unique_by_owner(void **state) {
    struct bh_err err = BH_ERR_INIT;
    struct rt_db *db = open_db();
    struct rt_record a = record("id1", "web", 1000, 1), b = record("id2", "web", 1001, 2),
                     c = record("id3", "web", 1000, 3);

    (void)state;
    assert_int_equal(rt_db_insert(db, &a, &err), 0);
    assert_int_equal(rt_db_insert(db, &b, &err), 0);
    assert_int_equal(rt_db_insert(db, &c, &err), BH_E_CONFLICT);
    assert_string_equal(err.reason, "name-in-use");
    bh_err_clear(&err);
    assert_int_equal(rt_db_rename(db, "id1", "old", true, &err), 0);
    assert_int_equal(rt_db_insert(db, &c, &err), 0);
    assert_int_equal(rt_db_rename(db, "id1", "web", true, &err), BH_E_CONFLICT);
    rt_db_close(db);
}

static void changes_and_removal(void **state) {
    struct bh_err err = BH_ERR_INIT;
    struct rt_db *db = open_db();
    struct rt_record a = record("id1", "web", 1000, 1);
    struct rt_status now = {.state = RT_RUNNING, .pid = 42, .started_ns = 9};
    BH_SCOPE_BUF struct bh_buf spec = BH_BUF_INIT, request = BH_BUF_INIT;
    struct seen seen = {0};

    (void)state;
    assert_int_equal(rt_db_insert(db, &a, &err), 0);
    assert_int_equal(rt_db_set_status(db, "id1", &now, false, &err), 0);
    assert_int_equal(rt_db_load(db, see, &seen, &err), 0);
    assert_memory_equal(&seen.last, &now, sizeof now);
    assert_int_equal(rt_db_blobs(db, "id1", &spec, &request, NULL, &err), 0);
    assert_int_equal(spec.len, 5);
    assert_string_equal(bh_buf_str(&request), "req");
    assert_int_equal(rt_db_delete(db, "id1", &err), 0);
    assert_int_equal(rt_db_delete(db, "id1", &err), 0); /* a removal that is done again */
    assert_int_equal(rt_db_blobs(db, "id1", &spec, NULL, NULL, &err), BH_E_NOT_FOUND);
    rt_db_close(db);
}

static void a_newer_schema_is_refused(void **state) {
    struct bh_err err = BH_ERR_INIT;
    struct rt_db *db = open_db();
    sqlite3 *h = NULL;

    (void)state;
    rt_db_close(db);
    assert_int_equal(sqlite3_open(path, &h), SQLITE_OK);
    assert_int_equal(sqlite3_exec(h, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(h);
    assert_int_equal(rt_db_open(path, &db, &err), BH_E_INVALID);
    assert_non_null(strstr(err.msg, "newer version (schema 99"));
}

static void what_is_no_database_is_refused(void **state) {
    struct bh_err err = BH_ERR_INIT;
    struct rt_db *db = NULL;
    FILE *f = fopen(path, "w");

    (void)state;
    for (int i = 0; i < 4096; i++)
        fputc('x', f);
    fclose(f);
    assert_int_not_equal(rt_db_open(path, &db, &err), 0);
    assert_non_null(strstr(err.msg, path));
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(rows_come_back),      T(an_older_schema_is_carried_over), T(names_are_unique_by_owner),
        T(changes_and_removal), T(a_newer_schema_is_refused),       T(what_is_no_database_is_refused)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
