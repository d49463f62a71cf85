/*
 * store.h - the room itself: its folders, its index, its limits.
 *
 * Room: store.  Own uid, no capability, no network; it sees its own folder and nothing else.  It reads
 * no JSON, no tar and no compressed byte of anybody: workers do, and hand back numbers that are
 * checked here against what the files themselves say.  Explained in docs/store-format.md.
 */
#ifndef STORE_H
#define STORE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "oci/digest.h"

struct store_index;
struct store_workers;

/* What to do with compressed layers after they were unpacked. */
enum store_keep {
    STORE_KEEP_SOURCE, /* drop what came from a registry, which can give it again */
    STORE_KEEP_ALWAYS,
    STORE_KEEP_NEVER,
};

/* From the engine's config, table [store] and [limits]; 0 leaves a limit to the worker's default. */
struct store_options {
    enum store_keep keep;
    bool rehash;           /* read every new layer once more at once, not only when a second image is to share it */
    unsigned workers;      /* at most at once; 0: as many as processors, at most 4 */
    uint64_t reserve;      /* bytes set aside, so that a full disk can still be tidied */
    uint64_t max_cache;    /* bytes of what builds have cached; 0: see cache.h */
    uint32_t partial_days; /* how long an unfinished download is kept */
    uint64_t max_entries;
    uint64_t max_unpacked;
    uint64_t max_archive; /* bytes of an archive that comes by a pipe */
    uint64_t max_document;
    uint32_t max_path;
    uint32_t max_depth;
    uint32_t max_xattrs;
    uint32_t max_layers;
    uint32_t max_images;
};
void store_options_init(struct store_options *o);
/* text: the engine's config file, "" for none.  Keys of other rooms are not looked at. */
int store_options_read(struct store_options *o, const char *text, size_t n, struct bh_err *err);

struct store_place {
    char path[256]; /* for SQLite and for messages */
    int root_fd;
    int ingest_fd;
    int partial_fd;
    int layers_fd; /* layers/sha256 */
    int blobs_fd;  /* blobs/sha256 */
    bool named;    /* unnamed files cannot be linked here: temporary names are used */
    uint64_t reserve;
};

/* One at a time per layer: a second caller waits for the first and shares what it made. */
struct store_flight {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct store_flight_item *first;
};

/* What pulls, pushes and builds under way have brought (hold.h). */
struct store_holds {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct store_hold *first;
    size_t bytes;
};

/* Contexts of builds (context.h), and digests of what builds copied (compose.h). */
struct store_contexts {
    pthread_mutex_t lock;
    struct store_context *first;
    unsigned n;
    unsigned files; /* open ones of all that live, also of those that were taken out and are in use */
    unsigned max_files;
};
struct store_memo {
    pthread_mutex_t lock;
    struct store_memo_item *v; /* malloc'd when first used */
    unsigned n;
    unsigned next;
};

struct store {
    struct store_options options; /* change with a reload: read through store_options_now */
    pthread_mutex_t options_lock;
    struct store_place place;
    struct store_index *index;
    struct store_workers *workers;
    struct store_flight flight;
    struct store_holds holds;
    struct store_contexts contexts;
    struct store_memo memo;
    uint64_t removals;     /* sweeps so far, atomic */
    pthread_rwlock_t tidy; /* shared: files become rows; exclusive: unused files go */
};

/* Opens the folder, brings the index up to date and finishes what a crash has left.  workers may be
 * NULL in tests that need none. */
int store_open(struct store *s, const char *path, const struct store_options *options, struct bh_err *err);
void store_close(struct store *s);

struct store_options store_options_now(struct store *s);
/* From a config that was read again; number of workers and reserve stay as they are. */
void store_options_set(struct store *s, const struct store_options *options);

/* On whose behalf: owner of what is made; all: also sees what others own. */
struct store_who {
    uid_t owner;
    bool all;
};

#define STORE_DIGEST_SIZE BH_DIGEST_TEXT_SIZE

#endif
