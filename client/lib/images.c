/*
 * images.c - typed calls about images: load, import, save, list.
 *
 * Room: client.  Archives go to the engine as descriptors; their bytes are not read here.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "bulkhead/bulkhead.h"

static int take_events(bulkhead_stream *s, bulkhead_progress *progress, void *arg, bulkhead_value *loaded,
                       struct bulkhead_error *err) {
    for (;;) {
        bulkhead_value *event = NULL;
        const char *name;
        int r = bulkhead_stream_recv_value(s, &event, err);

        if (r != 0)
            return r;
        if (event == NULL)
            return bulkhead_stream_finish(s, NULL, err);
        name = bulkhead_get_str(event, "loaded");
        if (name[0] != '\0')
            bulkhead_add_str(loaded, name);
        if (progress != NULL && progress(arg, event) != 0)
            bulkhead_stream_cancel(s);
        bulkhead_value_free(event);
    }
}

int bulkhead_image_load(bulkhead *b, int archive_fd, const bulkhead_value *request, bulkhead_progress *progress,
                        void *arg, bulkhead_value **out_loaded, struct bulkhead_error *err) {
    bulkhead_value *loaded;
    bulkhead_stream *s;
    int r = bulkhead_stream_open(b, "store", "Load", request, &archive_fd, 1, &s, err);

    if (r != 0)
        return r;
    loaded = bulkhead_list_new();
    r = take_events(s, progress, arg, loaded, err);
    bulkhead_stream_free(s);
    if (r != 0 || out_loaded == NULL) {
        bulkhead_value_free(loaded);
        return r;
    }
    *out_loaded = loaded;
    return 0;
}

int bulkhead_image_import(bulkhead *b, int tar_fd, const bulkhead_value *request, char **out_id,
                          struct bulkhead_error *err) {
    bulkhead_value *reply = NULL, *next = NULL;
    bulkhead_stream *s;
    int r = bulkhead_stream_open(b, "store", "Import", request, &tar_fd, 1, &s, err);

    if (r != 0)
        return r;
    while ((r = bulkhead_stream_recv_value(s, &next, err)) == 0 && next != NULL) {
        bulkhead_value_free(reply);
        reply = next;
    }
    if (r == 0)
        r = bulkhead_stream_finish(s, NULL, err);
    bulkhead_stream_free(s);
    if (r == 0)
        *out_id = bh_xstrdup(bulkhead_get_str(reply, "id"));
    bulkhead_value_free(reply);
    return r;
}

int bulkhead_image_save(bulkhead *b, const char *const *names, size_t n, int out_fd, struct bulkhead_error *err) {
    bulkhead_value *request = bulkhead_map_new(), *list = bulkhead_list_new();
    bulkhead_stream *s = NULL;
    int r;

    for (size_t i = 0; i < n; i++)
        bulkhead_add_str(list, names[i]);
    bulkhead_set(request, "name", list);
    r = bulkhead_stream_open(b, "store", "Save", request, &out_fd, 1, &s, err);
    bulkhead_value_free(request);
    if (r != 0)
        return r;
    r = bulkhead_stream_finish(s, NULL, err);
    bulkhead_stream_free(s);
    return r;
}

static void image_from_value(const bulkhead_value *v, struct bulkhead_image *out) {
    const bulkhead_value *tags = bulkhead_get(v, "repo_tags");
    size_t n = bulkhead_count(tags);

    out->id = bh_xstrdup(bulkhead_get_str(v, "id"));
    out->size = bulkhead_get_uint(v, "size");
    out->created_ns = bulkhead_get_int(v, "created_ns");
    out->repo_tags = bh_xcalloc(n + 1, sizeof *out->repo_tags);
    for (size_t i = 0; i < n; i++)
        out->repo_tags[i] = bh_xstrdup(bulkhead_str(bulkhead_at(tags, i)));
}

int bulkhead_image_list(bulkhead *b, struct bulkhead_image **out, size_t *out_n, struct bulkhead_error *err) {
    bulkhead_value *request = bulkhead_map_new();
    struct bulkhead_image *list = NULL;
    size_t n = 0;
    int r = 0;

    bulkhead_set_bool(request, "paged", true);
    for (bool more = true; more && r == 0;) { /* a part is below the size of a message */
        const bulkhead_value *images;
        bulkhead_value *reply = NULL;
        size_t part;

        if ((r = bulkhead_call(b, "store", "ImageList", request, 0, &reply, err)) != 0)
            break;
        images = bulkhead_get(reply, "image");
        part = bulkhead_count(images);
        list = bh_xrealloc(list, (n + part) * sizeof *list);
        for (size_t i = 0; i < part; i++)
            image_from_value(bulkhead_at(images, i), &list[n + i]);
        n += part;
        more = bulkhead_get_bool(reply, "more") && part > 0;
        if (more)
            bulkhead_set_str(request, "after", list[n - 1].id);
        bulkhead_value_free(reply);
    }
    bulkhead_value_free(request);
    if (r != 0) {
        bulkhead_image_list_free(list, n);
        return r;
    }
    *out = list;
    *out_n = n;
    return 0;
}

void bulkhead_image_list_free(struct bulkhead_image *list, size_t n) {
    for (size_t i = 0; i < n; i++) {
        for (char **tag = list[i].repo_tags; *tag != NULL; tag++)
            free(*tag);
        free(list[i].repo_tags);
        free(list[i].id);
    }
    free(list);
}
