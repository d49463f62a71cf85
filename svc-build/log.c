/*
 * log.c - see log.h.
 *
 * Room: build.  A log is a row of events, each with its length in four bytes before it.  In a layer it lies as
 * files "0", "1", .. of at most PART_MAX bytes.
 */
#include "log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/ustar.h"
#include "key.h"
#include "room.h"

#define SHORT_MAX ((size_t)32 << 10) /* kept in the record itself */
#define PART_MAX  ((size_t)1 << 20)
#define ROWS_MAX  200
#define ROW_SIZE  256

struct build_log {
    struct build_job *job;
    struct bh_buf buf; /* what is not written yet */
    struct build_tar *tar;
    int fd;
    unsigned parts;
    bool failed;
};

struct build_log *build_log_new(struct build_job *job) {
    struct build_log *log = bh_xcalloc(1, sizeof *log);

    log->job = job;
    bh_buf_init(&log->buf, 2 * PART_MAX);
    return log;
}

/* ---- parts in a layer ------------------------------------------------------------------------ */

static bool begin_tar(struct build_log *log) {
    struct bh_err err = BH_ERR_INIT;

    if (log->job->hold == NULL)
        return false;
    if (build_tar_begin(log->job->room->store, build_hold_number(log->job->hold), &log->tar, &log->fd, &err) == 0)
        return true;
    bh_log_err("build-log", &err);
    return false;
}

static void write_part(struct build_log *log) {
    static const char zeros[BH_USTAR_BLOCK];
    char header[BH_USTAR_BLOCK], name[16];

    if (log->failed || (log->tar == NULL && !begin_tar(log))) {
        log->failed = true;
        bh_buf_reset(&log->buf);
        return;
    }
    snprintf(name, sizeof name, "%u", log->parts++);
    bh_ustar_header(header, &(struct bh_ustar){.name = name, .type = '0', .mode = 0644, .size = log->buf.len});
    log->failed = bh_write_all(log->fd, header, sizeof header) != 0 ||
                  bh_write_all(log->fd, log->buf.data, log->buf.len) != 0 ||
                  bh_write_all(log->fd, zeros, bh_ustar_padding(log->buf.len)) != 0;
    bh_buf_reset(&log->buf);
}

void build_log_add(struct build_log *log, const ProtobufCMessage *event) {
    size_t n = protobuf_c_message_get_packed_size(event);
    unsigned char length[4] = {(unsigned char)n, (unsigned char)(n >> 8), (unsigned char)(n >> 16),
                               (unsigned char)(n >> 24)};
    uint8_t *room;

    if (log->failed || n > PART_MAX - 4)
        return;
    if (log->buf.len + n + 4 > PART_MAX)
        write_part(log);
    bh_buf_add(&log->buf, length, sizeof length);
    room = bh_buf_room(&log->buf, n);
    if (room == NULL) {
        log->failed = true;
        return;
    }
    protobuf_c_message_pack(event, room);
    bh_buf_grew(&log->buf, n);
}

/* ---- the record ------------------------------------------------------------------------------ */

static int key_of(const char *kind, const char *id, struct bh_digest *out, struct bh_err *err) {
    struct build_key k;

    if (build_key_begin(&k, kind, err) != 0)
        return err->code;
    build_key_text(&k, id);
    return build_key_end(&k, out, err);
}

/* "1 <parts>\n", then the log itself if there are none. */
static int put_log(struct build_log *log, struct bh_err *err) {
    BH_SCOPE_BUF struct bh_buf note = BH_BUF_INIT_MAX(BUILD_NOTE_MAX);
    BH_SCOPE_FREE char *description = bh_xasprintf("log of build %s", log->job->id);
    struct build_cache_put p = {.kind = "frontend", .description = description, .replace = true};
    static const char end[2 * BH_USTAR_BLOCK];
    struct bh_digest key, layer;

    if (log->buf.len > SHORT_MAX || (log->parts > 0 && log->buf.len > 0))
        write_part(log);
    if (log->failed)
        return bh_err_set(err, BH_E_UNAVAILABLE, "the store did not take it");
    if (log->tar != NULL) {
        int r = bh_write_all(log->fd, end, sizeof end) == 0
                    ? build_tar_end(log->tar, &layer, err)
                    : bh_err_set(err, BH_E_UNAVAILABLE, "the store did not take it");

        log->tar = NULL;
        if (r != 0)
            return r;
        p.layers = &layer;
        p.n = 1;
    }
    bh_buf_addf(&note, "1 %u\n", log->parts);
    if (log->parts == 0)
        bh_buf_add(&note, log->buf.data, log->buf.len);
    p.note = note.data;
    p.n_note = note.len;
    if (key_of("log", log->job->id, &key, err) != 0)
        return err->code;
    return build_cache_put(log->job->room->store, build_hold_number(log->job->hold), &key, &p, NULL, err);
}

/* One line: id, when, how, what.  The name is the last, and may hold blanks. */
static void add_row(struct bh_buf *b, const struct build_log *log, const char *status) {
    const struct build_ask *ask = log->job->ask;
    const char *what = ask->outs[0].names.n > 0 ? ask->outs[0].names.v[0]
                       : ask->target[0] != '\0' ? ask->target
                                                : ask->file_name;
    uint32_t steps = 0, cached = 0;
    char name[100], line[ROW_SIZE];

    build_progress_counts(log->job->progress, &steps, &cached);
    bh_str_escape(name, sizeof name, what, strlen(what), false);
    snprintf(line, sizeof line, "%s %lld %lld %u %u %s %s\n", log->job->id, (long long)log->job->begin_ns,
             (long long)bh_now_ns(), steps, cached, status, name);
    bh_buf_adds(b, line);
}

static int put_row(struct build_log *log, const char *status, struct bh_err *err) {
    struct build_store *store = log->job->room->store;
    uint64_t hold = build_hold_number(log->job->hold);
    BH_SCOPE_BUF struct bh_buf note = BH_BUF_INIT_MAX(BUILD_NOTE_MAX);
    struct build_cache_put p = {.kind = "frontend", .description = "list of builds", .replace = true};
    struct build_cached old = {0};
    struct bh_digest key;
    struct bh_arena arena;
    unsigned rows = 1;
    int r;

    bh_arena_init(&arena, (size_t)1 << 20);
    pthread_mutex_lock(&log->job->room->rows_lock);
    add_row(&note, log, status);
    r = key_of("rows", "", &key, err);
    if (r == 0)
        r = build_cache_get(store, hold, &key, &arena, &old, err);
    for (const char *at = old.note, *end; r == 0 && old.found && rows < ROWS_MAX && at < old.note + old.n_note;
         at = end + 1, rows++) {
        end = memchr(at, '\n', old.n_note - (size_t)(at - old.note));
        if (end == NULL)
            break;
        bh_buf_add(&note, at, (size_t)(end - at) + 1);
    }
    p.note = note.data;
    p.n_note = note.len;
    if (r == 0)
        r = build_cache_put(store, hold, &key, &p, NULL, err);
    pthread_mutex_unlock(&log->job->room->rows_lock);
    bh_arena_fini(&arena);
    return r;
}

void build_log_end(struct build_log *log, int result, const struct bh_err *err) {
    const char *status = result == 0 ? "completed" : result == BH_E_CANCELLED ? "canceled" : "error";
    struct bh_err mine = BH_ERR_INIT;

    (void)err;
    if (log->job->hold != NULL && (put_log(log, &mine) != 0 || put_row(log, status, &mine) != 0))
        bh_log_err("build-log", &mine);
    build_tar_drop(log->tar);
    bh_buf_fini(&log->buf);
    free(log);
}

/* ---- reading --------------------------------------------------------------------------------- */

static int each_event(const char *data, size_t n, build_log_each *each, void *arg, struct bh_err *err) {
    while (n >= 4) {
        const unsigned char *l = (const unsigned char *)data;
        size_t len = l[0] | (size_t)l[1] << 8 | (size_t)l[2] << 16 | (size_t)l[3] << 24;

        if (len > n - 4)
            break;
        if (each(arg, data + 4, len, err) != 0)
            return err->code;
        data += len + 4;
        n -= len + 4;
    }
    return n == 0 ? 0 : bh_err_set(err, BH_E_DATA_LOSS, "the log of the build ends in the middle of an event");
}

static int each_part(struct build_room *room, uint64_t hold, const struct build_cached *c, unsigned parts,
                     build_log_each *each, void *arg, struct bh_err *err) {
    const struct build_stack stack = {.layers = c->layers, .n = c->n};

    for (unsigned i = 0; i < parts; i++) {
        struct bh_arena arena;
        const char *data = NULL;
        char path[16];
        size_t n = 0;
        int r;

        bh_arena_init(&arena, 2 * PART_MAX);
        snprintf(path, sizeof path, "/%u", i);
        r = build_layer_file(room->store, hold, &stack, path, &arena, &data, &n, err);
        if (r == 0)
            r = each_event(data, n, each, arg, err);
        bh_arena_fini(&arena);
        if (r != 0)
            return r;
    }
    return 0;
}

static int no_such(const char *id, struct bh_err *err) {
    bh_err_set(err, BH_E_NOT_FOUND, "No such build: %.80s", id);
    return bh_err_reason(err, "no-such-build");
}

static int read_log(struct build_room *room, uint64_t hold, const char *id, struct bh_arena *arena,
                    build_log_each *each, void *arg, struct bh_err *err) {
    struct build_cached c = {0};
    struct bh_digest key;
    unsigned parts = 0;
    int head = 0;

    if (key_of("log", id, &key, err) != 0 || build_cache_get(room->store, hold, &key, arena, &c, err) != 0)
        return err->code;
    if (!c.found)
        return no_such(id, err);
    if (sscanf(c.note, "1 %u\n%n", &parts, &head) != 1 || head == 0)
        return bh_err_set(err, BH_E_DATA_LOSS, "the record of build %s cannot be read", id);
    if (parts > 0)
        return each_part(room, hold, &c, parts, each, arg, err);
    return each_event(c.note + head, c.n_note - (size_t)head, each, arg, err);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static bool read_row(char *line, struct build_row *out) {
    long long started, finished;
    char *id = line, *rest, *status;
    int at = 0;

    rest = strchr(line, ' ');
    if (rest == NULL)
        return false;
    *rest++ = '\0';
    if (sscanf(rest, "%lld %lld %u %u %n", &started, &finished, &out->steps, &out->cached, &at) != 4 || at == 0)
        return false;
    status = rest + at;
    rest = strchr(status, ' ');
    if (rest == NULL)
        return false;
    *rest++ = '\0';
    out->id = id;
    out->status = status;
    out->name = rest;
    out->started_ns = started;
    out->finished_ns = finished;
    return true;
}

static int read_rows(struct build_room *room, uint64_t hold, struct bh_arena *arena, struct build_row **out,
                     size_t *out_n, struct bh_err *err) {
    struct build_row *rows = bh_oci_alloc(arena, ROWS_MAX * sizeof *rows, err);
    struct build_cached c = {0};
    struct bh_digest key;
    char *save = NULL;
    size_t n = 0;

    if (rows == NULL || key_of("rows", "", &key, err) != 0 ||
        build_cache_get(room->store, hold, &key, arena, &c, err) != 0)
        return err->code;
    for (char *line = c.found ? strtok_r((char *)c.note, "\n", &save) : NULL; line != NULL && n < ROWS_MAX;
         line = strtok_r(NULL, "\n", &save))
        n += read_row(line, &rows[n]);
    *out = rows;
    *out_n = n;
    return 0;
}

int build_rows(struct build_room *room, uid_t owner, struct bh_arena *arena, struct build_row **out, size_t *out_n,
               struct bh_err *err) {
    struct build_hold *hold = NULL;
    int r;

    if (build_hold_begin(room->store, owner, &hold, err) != 0)
        return err->code;
    r = read_rows(room, build_hold_number(hold), arena, out, out_n, err);
    build_hold_end(hold);
    return r;
}

/* A whole id need not be in the list any more. */
static int whole_id(struct build_room *room, uint64_t hold, const char *text, struct bh_arena *arena, const char **out,
                    struct bh_err *err) {
    struct build_row *rows = NULL;
    size_t n = 0, found = 0;

    *out = text;
    if (strlen(text) == 16)
        return 0;
    if (read_rows(room, hold, arena, &rows, &n, err) != 0)
        return err->code;
    for (size_t i = 0; i < n; i++)
        if (text[0] != '\0' && bh_str_starts(rows[i].id, text)) {
            *out = rows[i].id;
            found++;
        }
    if (found == 0)
        return no_such(text, err);
    return found == 1 ? 0 : bh_err_set(err, BH_E_INVALID, "%.80s is the beginning of %zu builds", text, found);
}

int build_log_read(struct build_room *room, uid_t owner, const char *id, build_log_each *each, void *arg,
                   struct bh_err *err) {
    struct build_hold *hold = NULL;
    struct bh_arena arena;
    int r;

    if (build_hold_begin(room->store, owner, &hold, err) != 0)
        return err->code;
    bh_arena_init(&arena, (size_t)4 << 20);
    r = whole_id(room, build_hold_number(hold), id, &arena, &id, err);
    if (r == 0)
        r = read_log(room, build_hold_number(hold), id, &arena, each, arg, err);
    bh_arena_fini(&arena);
    build_hold_end(hold);
    return r;
}
