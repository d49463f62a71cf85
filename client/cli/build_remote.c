/*
 * build_remote.c - the images that a build reaches registries for, and the credentials that go with them.
 *
 * Room: client.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/build_int.h"
#include "cli/remote.h"

/* Is it a stage, or a context that was given? */
static bool is_own_name(const struct build *x, const char *name) {
    const bulkhead_value *stages = bulkhead_get(x->check, "stage");
    size_t n = strlen(name);

    for (size_t i = 0; i < bulkhead_count(stages); i++)
        if (strcmp(bulkhead_get_str(bulkhead_at(stages, i), "name"), name) == 0)
            return true;
    for (size_t i = 0; i < cli_count(x->args, "build-context"); i++) {
        const char *given = cli_item(x->args, "build-context", i);

        if (strncmp(given, name, n) == 0 && given[n] == '=')
            return true;
    }
    return false;
}

/* The images that a build may pull: bases, those of COPY --from and of mounts, those that stand for contexts. */
static size_t pulled_names(const struct build *x, const char **out) {
    const bulkhead_value *stages = bulkhead_get(x->check, "stage"), *used = bulkhead_get(x->check, "context_name");
    size_t n = 0;

    for (size_t i = 0; i < bulkhead_count(stages); i++)
        out[n++] = bulkhead_get_str(bulkhead_at(stages, i), "from");
    for (size_t i = 0; i < bulkhead_count(used); i++)
        if (!is_own_name(x, bulkhead_str(bulkhead_at(used, i))))
            out[n++] = bulkhead_str(bulkhead_at(used, i));
    for (size_t i = 0; i < cli_count(x->args, "build-context"); i++) {
        const char *image = strstr(cli_item(x->args, "build-context", i), "=" BUILD_IMAGE_CONTEXT);

        if (image != NULL)
            out[n++] = image + strlen("=" BUILD_IMAGE_CONTEXT);
    }
    return n;
}

static size_t cache_names(const struct build_cache_side *s, const char **out) {
    size_t n = 0;

    for (size_t i = 0; i < s->n; i++)
        if (s->ref[i][0] != '\0')
            out[n++] = s->ref[i];
    return n;
}

/* Credentials for the images it is made of, for caches and, when it is pushed, for its names. */
int build_remote_set(struct build *x, bulkhead_value *request) {
    bulkhead_value *tags = build_tags_of(x, NULL), *remote = NULL;
    size_t n_tags = bulkhead_count(tags), n_from, n_to = 0;
    size_t most = bulkhead_count(bulkhead_get(x->check, "stage")) +
                  bulkhead_count(bulkhead_get(x->check, "context_name")) + cli_count(x->args, "build-context") +
                  2 * (size_t)BUILD_CACHES_MAX;
    const char **names BH_SCOPE_FREE = bh_xcalloc(most + n_tags + 1, sizeof *names);
    bool push = false;
    int status;

    for (size_t i = 0; i < x->n_outputs; i++)
        push = push || x->outputs[i].push;

    n_from = pulled_names(x, names);
    n_from += cache_names(&x->caches.from, names + n_from);
    for (size_t i = 0; push && i < n_tags; i++)
        names[n_from + n_to++] = bulkhead_str(bulkhead_at(tags, i));
    n_to += cache_names(&x->caches.to, names + n_from + n_to);
    const struct cli_remote_names groups[] = {{CLI_REMOTE_PULL, names, n_from, NULL},
                                              {CLI_REMOTE_PUSH, names + n_from, n_to, NULL}};
    status = cli_remote_make_all(x->ctx, x->args, groups, BH_ARRAY_LEN(groups), &remote);
    if (status == 0)
        bulkhead_set(request, "remote", remote);
    bulkhead_value_free(tags);
    return status;
}
