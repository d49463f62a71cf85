/*
 * build_result.c - what is left of a build that worked: its output, --iidfile, --metadata-file, the ID of -q.
 *
 * Room: client.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fdio.h"
#include "base/mem.h"
#include "cli/build_int.h"

static int write_file(struct build *x, const char *path, const char *text) {
    struct bh_err err = BH_ERR_INIT;

    if (path == NULL || path[0] == '\0')
        return 0;
    return bh_file_replace(AT_FDCWD, path, text, strlen(text), 0644, false, &err) == 0 ? 0
                                                                                       : cli_fail(x->ctx->out, &err);
}

static int write_metadata(struct build *x) {
    const char *path = cli_str(x->args, "metadata-file");
    char *text BH_SCOPE_FREE = NULL;
    struct bh_buf names BH_SCOPE_BUF = BH_BUF_INIT;
    json_t *o;

    if (path == NULL || path[0] == '\0')
        return 0;
    for (size_t i = 0; i < cli_count(x->args, "tag"); i++)
        bh_buf_addf(&names, "%s%s", i > 0 ? "," : "", cli_item(x->args, "tag", i));
    for (size_t i = 0; i < x->n_outputs; i++)
        if (x->outputs[i].name[0] != '\0')
            bh_buf_addf(&names, "%s%s", names.len > 0 ? "," : "", x->outputs[i].name);
    o = json_object();
    json_object_set_new(o, "buildx.build.ref", json_string(x->build_id != NULL ? x->build_id : ""));
    json_object_set_new(o, "containerimage.config.digest", json_string(x->image_id != NULL ? x->image_id : ""));
    json_object_set_new(o, "containerimage.digest", json_string(x->manifest_digest != NULL ? x->manifest_digest : ""));
    json_object_set_new(o, "image.name", json_string(bh_buf_str(&names)));
    text = json_dumps(o, JSON_INDENT(2));
    json_decref(o);
    return write_file(x, path, text);
}

int build_result_finish(struct build *x) {
    struct bh_err err = BH_ERR_INIT;
    int status = 0;

    for (size_t i = 0; status == 0 && i < x->n_outputs; i++)
        status = build_output_finish(&x->outputs[i], x->ctx);

    if (status == 0 && build_caches_finish(&x->caches, &err) != 0)
        status = cli_fail(x->ctx->out, &err);
    if (status == 0 && x->image_id != NULL)
        status = write_file(x, cli_str(x->args, "iidfile"), x->image_id);
    if (status == 0)
        status = write_metadata(x);
    if (status == 0 && cli_bool(x->args, "quiet") && x->image_id != NULL)
        cli_put(x->ctx->out, "%s\n", x->image_id);
    return status;
}
