/*
 * engine.c - see engine.h.
 *
 * Room: client.
 */
#include "cli/engine.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/str.h"

void cli_error_of(const struct bulkhead_error *from, struct bh_err *to) {
    to->code = from->code;
    memcpy(to->reason, from->reason, sizeof to->reason);
    memcpy(to->msg, from->message, sizeof to->msg);
    memcpy(to->hint, from->hint, sizeof to->hint);
}

int cli_fail_engine(struct cli_ctx *ctx, const struct bulkhead_error *err) {
    struct bh_err e = BH_ERR_INIT;

    cli_error_of(err, &e);
    if (e.code == BH_E_UNAVAILABLE && e.hint[0] == '\0' && bh_str_starts(e.msg, "connect to"))
        bh_err_hint(&e, "is bulkheadd running? start it with `systemctl start bulkhead`, or name another "
                        "engine with --host ipc://FOLDER");
    return cli_fail(ctx->out, &e);
}

bulkhead *cli_engine(struct cli_ctx *ctx) {
    struct bulkhead_error err = {0};
    bulkhead *b = NULL;

    if (ctx->user != NULL)
        return ctx->user;
    if (bulkhead_open(ctx->host, &b, &err) != 0) {
        cli_fail_engine(ctx, &err);
        return NULL;
    }
    ctx->user = b;
    return b;
}

void cli_engine_close(struct cli_ctx *ctx) {
    bulkhead_close(ctx->user);
    ctx->user = NULL;
}

int cli_call(struct cli_ctx *ctx, const char *service, const char *method, const bulkhead_value *request,
             bulkhead_value **out_reply) {
    struct bulkhead_error err = {0};
    bulkhead *b = cli_engine(ctx);

    if (b == NULL)
        return CLI_EXIT_FAILED;
    return bulkhead_call(b, service, method, request, 0, out_reply, &err) == 0 ? 0 : cli_fail_engine(ctx, &err);
}

int cli_call_take(struct cli_ctx *ctx, const char *service, const char *method, bulkhead_value *take_request,
                  bulkhead_value **out_reply) {
    int status = cli_call(ctx, service, method, take_request, out_reply);

    bulkhead_value_free(take_request);
    return status;
}

int cli_set_filters(struct cli_ctx *ctx, const struct cli_args *args, bulkhead_value *request) {
    bulkhead_value *list = bulkhead_list_new();

    for (size_t i = 0; i < cli_count(args, "filter"); i++) {
        const char *item = cli_item(args, "filter", i), *eq = strchr(item, '=');
        bulkhead_value *filter;
        char key[64];

        if (eq == NULL || !bh_str_copy_n(key, sizeof key, item, (size_t)(eq - item))) {
            bulkhead_value_free(list);
            return cli_failf(
                ctx->out, CLI_EXIT_USAGE,
                "invalid argument \"%s\" for \"-f, --filter\" flag: bad format of filter (expected name=value)", item);
        }
        filter = bulkhead_map_new();
        bulkhead_set_str(filter, "key", key);
        bulkhead_set_str(filter, "value", eq + 1);
        bulkhead_add(list, filter);
    }
    bulkhead_set(request, "filter", list);
    return 0;
}

void cli_set_list(const struct cli_args *args, const char *option, bulkhead_value *request, const char *field) {
    bulkhead_value *list;

    if (cli_count(args, option) == 0)
        return;
    list = bulkhead_list_new();
    for (size_t i = 0; i < cli_count(args, option); i++)
        bulkhead_add_str(list, cli_item(args, option, i));
    bulkhead_set(request, field, list);
}

void cli_add_pair(bulkhead_value *list, const char *entry) {
    size_t n = strcspn(entry, "=");
    char *key BH_SCOPE_FREE = bh_xstrndup(entry, n);
    bulkhead_value *pair = bulkhead_map_new();

    bulkhead_set_str(pair, "key", key);
    bulkhead_set_str(pair, "value", entry[n] == '=' ? entry + n + 1 : "");
    bulkhead_add(list, pair);
}

void cli_set_pairs(const struct cli_args *args, const char *option, bulkhead_value *request, const char *field) {
    bulkhead_value *list;

    if (cli_count(args, option) == 0)
        return;
    list = bulkhead_list_new();
    for (size_t i = 0; i < cli_count(args, option); i++)
        cli_add_pair(list, cli_item(args, option, i));
    bulkhead_set(request, field, list);
}
