/*
 * cmd_logs.c - `logs`: what a container wrote, on the stream that it wrote to.
 *
 * Room: client.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/str.h"
#include "cli/cmd.h"
#include "cli/engine.h"

const struct cli_opt cmd_logs_opts[] = {
    {.name = "details", .kind = CLI_BOOL, .help = "Show extra attributes"},
    {.name = "follow", .letter = 'f', .kind = CLI_BOOL, .help = "Go on as it writes more"},
    {.name = "since", .kind = CLI_STRING, .help = "From this time on, or this long ago"},
    {.name = "tail", .letter = 'n', .kind = CLI_STRING, .help = "Only the last N lines", .def = "all"},
    {.name = "timestamps", .letter = 't', .kind = CLI_BOOL, .help = "Put the time before each line"},
    {.name = "until", .kind = CLI_STRING, .help = "Up to this time, or this long ago"},
    {0},
};

/* "2024-01-02", "2024-01-02T03:04", with Z or an offset behind it or in the time zone that is set here. */
static bool part_of_time(const char *text, int64_t *out) {
    static const char rest[] = "0000-00-00T00:00:00";
    const char *zone = strchr(text, 'T') != NULL ? strpbrk(strchr(text, 'T'), "Z+-.") : strchr(text, 'Z');
    size_t n = zone != NULL ? (size_t)(zone - text) : strlen(text);
    char full[80];
    struct tm tm;
    time_t t;

    if (n < 10 || n >= sizeof rest || (zone != NULL && strlen(zone) > 40))
        return false;
    snprintf(full, sizeof full, "%.*s%s%s%s", (int)n, text, rest + n, zone != NULL ? zone : "",
             zone == NULL || (zone[0] == '.' && strpbrk(zone, "Z+-") == NULL) ? "Z" : "");
    if (!bh_time_parse(full, out))
        return false;
    if (zone != NULL && (zone[0] != '.' || strpbrk(zone, "Z+-") != NULL))
        return true;
    t = (time_t)(*out / BH_NSEC);
    gmtime_r(&t, &tm);
    tm.tm_isdst = -1;
    *out = (int64_t)mktime(&tm) * BH_NSEC + *out % BH_NSEC;
    return true;
}

/* A time, seconds since 1970, or a duration before now. */
static int moment(const char *text, int64_t *out) {
    char *end;
    double seconds;
    int64_t ago;

    if (bh_time_parse(text, out) || part_of_time(text, out))
        return 0;
    seconds = strtod(text, &end);
    if (end != text && *end == '\0') {
        *out = (int64_t)(seconds * 1e9);
        return 0;
    }
    if (bh_duration_parse(text, &ago)) {
        *out = bh_now_ns() - ago;
        return 0;
    }
    return -1;
}

static int set_moment(struct cli_ctx *ctx, const struct cli_args *args, const char *option, bulkhead_value *request,
                      const char *field) {
    int64_t ns;

    if (!cli_given(args, option))
        return 0;
    if (moment(cli_str(args, option), &ns) != 0)
        return cli_failf(ctx->out, CLI_EXIT_FAILED, "--%s %s: not a time (2024-01-02T03:04:05Z, 1704164645, 10m)",
                         option, cli_str(args, option));
    bulkhead_set_int(request, field, ns);
    return 0;
}

static int request_of(struct cli_ctx *ctx, const struct cli_args *args, bulkhead_value *request) {
    const char *tail = cli_str(args, "tail");
    uint64_t lines;
    int status;

    bulkhead_set_str(request, "container", args->operands[0]);
    bulkhead_set_bool(request, "stdout", true);
    bulkhead_set_bool(request, "stderr", true);
    bulkhead_set_bool(request, "follow", cli_bool(args, "follow"));
    if ((status = set_moment(ctx, args, "since", request, "since_ns")) != 0 ||
        (status = set_moment(ctx, args, "until", request, "until_ns")) != 0)
        return status;
    if (strcmp(tail, "all") != 0 && tail[0] != '-') {
        if (!bh_str_u64(tail, &lines))
            return cli_failf(ctx->out, CLI_EXIT_FAILED, "--tail %s: not a number of lines", tail);
        bulkhead_set_bool(request, "tail_set", true);
        bulkhead_set_uint(request, "tail", lines);
    }
    return 0;
}

#define STAMP_SIZE (BH_RFC3339_SIZE + 16)

struct line_state {
    bool timestamps;
    bool details;
    bool in_line[3]; /* by stream: the last byte was no newline */
};

/* Always nine digits, as docker has it: columns line up and scripts cut by position. */
static void stamp_of(int64_t time_ns, char out[STAMP_SIZE]) {
    char whole[BH_RFC3339_SIZE];

    bh_time_rfc3339(time_ns - time_ns % BH_NSEC, whole);
    snprintf(out, STAMP_SIZE, "%.*s.%09lldZ ", (int)strlen(whole) - 1, whole, (long long)(time_ns % BH_NSEC));
}

static int put_stamped(struct line_state *state, int stream, int64_t time_ns, const char *data, size_t n) {
    char stamp[STAMP_SIZE];

    stamp[0] = '\0';
    if (state->timestamps)
        stamp_of(time_ns, stamp);
    if (state->details)     /* docker's attributes, of which there are none, and the blank behind them */
        strcat(stamp, " "); /* STAMP_SIZE has room */
    while (n > 0) {
        const char *newline = memchr(data, '\n', n);
        size_t step = newline != NULL ? (size_t)(newline - data) + 1 : n;

        if (!state->in_line[stream] && bh_write_all(stream, stamp, strlen(stamp)) != 0)
            return -1;
        if (bh_write_all(stream, data, step) != 0)
            return -1;
        state->in_line[stream] = newline == NULL;
        data += step;
        n -= step;
    }
    return 0;
}

static int put_chunk(struct line_state *state, const bulkhead_value *chunk) {
    int stream = bulkhead_get_uint(chunk, "stream") == 2 ? 2 : 1;
    const void *data;
    size_t n;

    data = bulkhead_get_bytes(chunk, "data", &n);
    if (!state->timestamps && !state->details)
        return bh_write_all(stream, data, n);
    return put_stamped(state, stream, bulkhead_get_int(chunk, "time_ns"), data, n);
}

int cmd_logs(struct cli_ctx *ctx, const struct cli_args *args) {
    struct line_state state = {.timestamps = cli_bool(args, "timestamps"), .details = cli_bool(args, "details")};
    bulkhead_value *request = bulkhead_map_new(), *chunk = NULL;
    struct bulkhead_error error = {0};
    bulkhead *b = cli_engine(ctx);
    bulkhead_stream *s = NULL;
    int status = request_of(ctx, args, request), r = 0;
    bool closed = false;

    if (status != 0 || b == NULL) {
        bulkhead_value_free(request);
        return status != 0 ? status : CLI_EXIT_FAILED;
    }
    r = bulkhead_stream_open(b, "runtime", "ContainerLogs", request, NULL, 0, &s, &error);
    bulkhead_value_free(request);
    while (r == 0 && !closed && (r = bulkhead_stream_recv_value(s, &chunk, &error)) == 0 && chunk != NULL) {
        closed = put_chunk(&state, chunk) != 0; /* our reader has enough */
        bulkhead_value_free(chunk);
    }
    if (r == 0 && !closed)
        r = bulkhead_stream_finish(s, NULL, &error);
    bulkhead_stream_free(s);
    return r == 0 ? 0 : cli_fail_engine(ctx, &error);
}
