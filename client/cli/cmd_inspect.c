/*
 * cmd_inspect.c - `inspect`, `image inspect`, `container inspect`.
 *
 * Room: client.  What is found is printed even when something else is not; the missing are told
 * afterwards and the exit status is 1.  A template that cannot be parsed exits 64.
 */
#include <string.h>

#include "base/str.h"
#include "cli/cmd.h"
#include "cli/engine.h"
#include "cli/remote.h"
#include "cli/shape.h"
#include "cli/table.h"

const struct cli_opt cmd_inspect_opts[] = {
    {.name = "format", .letter = 'f', .kind = CLI_STRING, .help = "json, or a template"},
    {.name = "platform", .kind = CLI_STRING, .help = "With --remote: this platform, as OS/ARCH[/VARIANT]"},
    {.name = "remote", .kind = CLI_BOOL, .help = "Look at images on their registries, pull nothing"},
    {.name = "size", .letter = 's', .kind = CLI_BOOL, .help = "Add the sizes of a container"},
    {.name = "type", .kind = CLI_STRING, .help = "Look among one kind only", .complete = "image|container"},
    {0},
};

/* Adds the document of one name; 0, or the code of the error in *err. */
static int container_document(bulkhead *b, const char *name, bool size, json_t *documents, struct bulkhead_error *err) {
    bulkhead_value *request = bulkhead_map_new(), *reply = NULL;
    int r;

    bulkhead_set_str(request, "container", name);
    bulkhead_set_bool(request, "size", size);
    r = bulkhead_call(b, "runtime", "ContainerInspect", request, 0, &reply, err);
    bulkhead_value_free(request);
    if (r == 0)
        json_array_append_new(documents, shape_container(reply, size));
    bulkhead_value_free(reply);
    return r;
}

static int image_document(bulkhead *b, const char *name, json_t *documents, struct bulkhead_error *err) {
    bulkhead_value *request = bulkhead_map_new(), *reply = NULL;
    int r;

    bulkhead_set_str(request, "name", name);
    r = bulkhead_call(b, "store", "ImageInspect", request, 0, &reply, err);
    bulkhead_value_free(request);
    if (r == 0)
        json_array_append_new(documents, shape_image(reply));
    bulkhead_value_free(reply);
    return r;
}

static int remote_document(struct cli_ctx *ctx, const struct cli_args *args, bulkhead *b, const char *name,
                           json_t *documents, struct bulkhead_error *err) {
    bulkhead_value *request, *remote = NULL, *reply = NULL;
    char tag[BH_REF_TEXT_SIZE], digest[BH_REF_TEXT_SIZE];
    struct bh_err ignored = BH_ERR_INIT;
    struct bh_ref ref = {.domain = ""};
    int r;

    if (cli_remote_make(ctx, args, CLI_REMOTE_PULL, &name, 1, &remote) != 0)
        return BULKHEAD_CANCELLED; /* told already */
    request = bulkhead_map_new();
    bulkhead_set_str(request, "reference", name);
    bulkhead_set_str(request, "platform", cli_str(args, "platform"));
    bulkhead_set_bool(request, "config", true);
    bulkhead_set(request, "remote", remote);
    r = bulkhead_call(b, "registry", "RemoteInspect", request, 0, &reply, err);
    bulkhead_value_free(request);
    if (r != 0)
        return r;
    if (bh_ref_parse(bulkhead_get_str(reply, "reference"), &ref, &ignored) == 0) {
        bh_ref_familiar(&ref, tag);
        bh_str_copy(ref.digest, sizeof ref.digest,
                    bulkhead_get_str(bulkhead_get(bulkhead_get(reply, "top"), "desc"), "digest"));
        ref.tag[0] = '\0';
        bh_ref_familiar(&ref, digest);
        json_array_append_new(documents, shape_remote_image(reply, strchr(tag, '@') == NULL ? tag : NULL, digest));
    }
    bulkhead_value_free(reply);
    return 0;
}

enum kinds { CONTAINERS = 1, IMAGES = 2 };

static int document(bulkhead *b, const char *name, unsigned kinds, bool size, json_t *documents,
                    struct bulkhead_error *err) {
    int r = BULKHEAD_NOT_FOUND;

    if (kinds & CONTAINERS)
        r = container_document(b, name, size, documents, err);
    if (r == BULKHEAD_NOT_FOUND && (kinds & IMAGES))
        r = image_document(b, name, documents, err);
    if (r == BULKHEAD_INVALID && kinds == (CONTAINERS | IMAGES) && name[0] != '\0') {
        r = BULKHEAD_NOT_FOUND; /* no image can have such a name: then there is none */
        err->hint[0] = '\0';
    }
    if (r == BULKHEAD_NOT_FOUND && kinds == (CONTAINERS | IMAGES))
        snprintf(err->message, sizeof err->message, "No such object: %s", name);
    return r;
}

static int kinds_of(struct cli_ctx *ctx, const struct cli_args *args, unsigned *out) {
    const char *type = cli_str(args, "type");

    *out = CONTAINERS | IMAGES;
    if (strncmp(args->called, "image ", 6) == 0)
        *out = IMAGES;
    else if (strncmp(args->called, "container ", 10) == 0)
        *out = CONTAINERS;
    if (type == NULL || type[0] == '\0')
        return 0;
    if (strcmp(type, "image") == 0)
        *out = IMAGES;
    else if (strcmp(type, "container") == 0)
        *out = CONTAINERS;
    else
        return cli_failf(ctx->out, CLI_EXIT_FAILED, "\"%s\" is not a valid value for --type; use image or container",
                         type);
    return 0;
}

int cmd_inspect(struct cli_ctx *ctx, const struct cli_args *args) {
    struct bulkhead_error errors[16] = {{0}};
    struct bh_err err = BH_ERR_INIT;
    bulkhead *b = cli_engine(ctx);
    json_t *documents;
    unsigned kinds;
    int status, missing = 0;

    if (b == NULL || kinds_of(ctx, args, &kinds) != 0)
        return CLI_EXIT_FAILED;
    documents = json_array();
    for (int i = 0; i < args->operand_count; i++) {
        struct bulkhead_error *e = &errors[missing < 15 ? missing : 15];

        if ((cli_bool(args, "remote")
                 ? remote_document(ctx, args, b, args->operands[i], documents, e)
                 : document(b, args->operands[i], kinds, cli_bool(args, "size"), documents, e)) != 0)
            missing++;
    }
    status = 0;
    if (cli_inspect_print(ctx->out, cli_str(args, "format"), documents, &err) != 0) {
        status = cli_fail(ctx->out, &err);
        if (strcmp(err.reason, "template") == 0)
            status = 64;
    }
    json_decref(documents);
    for (int i = 0; i < missing && i < 16; i++)
        if (errors[i].message[0] != '\0')
            cli_fail_engine(ctx, &errors[i]);
    return status != 0 ? status : missing > 0 ? CLI_EXIT_FAILED : 0;
}
