/*
 * jobs.h - how the store asks a worker for one job: its name, descriptors and fixed parameters.
 *
 * Room: store (asks), worker (does).  The supervisor spawns `bulkhead-unpack JOB` with the
 * descriptors below; the worker reads nothing else.  The answer is one packed
 * bulkhead.worker.v1.Result on BH_JOB_FD_RESULT, then its end.  A worker that ends without a Result
 * was killed: by its sandbox, a limit, or a crash.  Exit status 0 means that a Result was written,
 * also when it holds an error.
 *
 *   job        SOURCE                        OUT                         BLOB
 *   layer      file (offset, size) or pipe   new unnamed file, rw        new unnamed file, or /dev/null
 *   archive    seekable file                 spool: unnamed file, rw     /dev/null
 *   document   file or pipe: manifest/index  /dev/null                   /dev/null
 *   config     file or pipe: image config    /dev/null                   /dev/null
 *   entries    a layer file                  new unnamed file: entries.h /dev/null
 *   compress   a layer file (offset, size)   new unnamed file, rw        8 bytes: how much of SOURCE is done
 *   context    pipe: contents asked for      new file: context_list.h    new file: a pack
 *   compose    /dev/null                     new unnamed file, rw        new unnamed file, rw: scratch
 *   file       /dev/null                     /dev/null                   /dev/null
 *   profile    file: a seccomp profile       /dev/null                   /dev/null
 *   spare      SOCK_SEQPACKET: bh_job_order  /dev/null                   /dev/null
 *
 * A spare is started ahead, because a new process takes longer than most jobs: it waits, confined, for one order, which
 * brings the job's name, parameters and descriptors (all but RESULT, which it has), and is then that job's worker.
 *
 * The jobs document, context, compose and file have more descriptors, from BH_JOB_FD_MORE on:
 *   document   the media type that the carrier told, if it told one: BH_JOB_MEDIA_MAX bytes at most
 *   context    the list as it came; write end of a pipe for numbers of entries (uint64_t) that are asked for, then
 *              its end; unless it is the first of its key: the list of the context before
 *   compose    a packed bulkhead.worker.v1.ComposeJob, then what its sources name; file: the same
 */
#ifndef BH_UNPACK_JOBS_H
#define BH_UNPACK_JOBS_H

#include <assert.h>
#include <stdint.h>

#define BH_JOB_FD_SOURCE 4
#define BH_JOB_FD_OUT    5
#define BH_JOB_FD_BLOB   6
#define BH_JOB_FD_RESULT 7
#define BH_JOB_FD_PARAMS 8 /* a file with one struct bh_job_params at its start */
#define BH_JOB_FDS       5 /* passed in this order; they become 4.. */
#define BH_JOB_FD_MORE   9
#define BH_JOB_FDS_MAX   250 /* with those; what the supervisor passes */

#define BH_JOB_MEDIA_MAX 255 /* bytes of a media type */

/* Job "context", counted from BH_JOB_FD_MORE. */
#define BH_JOB_CONTEXT_LIST 0u
#define BH_JOB_CONTEXT_ASK  1u
#define BH_JOB_CONTEXT_OLD  2u

#define BH_JOB_LAYER    "layer"
#define BH_JOB_ARCHIVE  "archive"
#define BH_JOB_DOCUMENT "document"
#define BH_JOB_CONFIG   "config"
#define BH_JOB_ENTRIES  "entries"
#define BH_JOB_COMPRESS "compress"
#define BH_JOB_CONTEXT  "context"
#define BH_JOB_COMPOSE  "compose"
#define BH_JOB_FILE     "file"
#define BH_JOB_PROFILE  "profile"
#define BH_JOB_SPARE    "spare"

#define BH_JOB_RESULT_MAX ((size_t)64 << 20) /* what the store reads at most of a Result */

#define BH_JOB_PARAMS_MAGIC   0x424a5031u
#define BH_JOB_TO_END         UINT64_MAX
#define BH_JOB_F_KEEP_BLOB    0x1u /* layer: write compressed bytes to BLOB */
#define BH_JOB_F_STRICT_END   0x2u /* layer: refuse a tar without its two zero blocks, or with bytes behind them */
#define BH_JOB_F_PLAIN_ONLY   0x4u /* layer: refuse anything but a bare tar (what commit produced) */
#define BH_JOB_F_EXACT        0x8u /* layer: SOURCE ends after `size` bytes; what came before an early end stays in BLOB */
#define BH_JOB_F_PASSING_BLOB 0x10u  /* layer: BLOB goes when the layer is made, it need not come to the disk early */
#define BH_JOB_F_ONLY_DIGEST  0x100u /* compose: make no layer */
#define BH_JOB_F_NO_DIGEST    0x200u /* compose: the digest is known */

struct bh_job_params {
    uint32_t magic; /* BH_JOB_PARAMS_MAGIC */
    uint32_t flags;
    uint64_t offset; /* of the job's bytes in SOURCE; ignored for a pipe */
    uint64_t size;   /* BH_JOB_TO_END: to the end of the file or pipe */
    /* Limits; 0 means the default below. */
    uint64_t max_entries;
    uint64_t max_unpacked; /* bytes of the uncompressed tar, or of an archive's spool */
    uint64_t max_sparse;   /* apparent bytes of expanded sparse files of a layer */
    uint64_t max_document; /* bytes of a manifest or config */
    uint32_t max_path;     /* bytes of a name */
    uint32_t max_depth;    /* parts of a name */
    uint32_t max_xattrs;   /* bytes of all xattrs of one inode, at most 65,536 */
    uint32_t max_pax;      /* bytes of one extended header */
    uint32_t max_layers;   /* of one image */
    uint32_t max_images;   /* of one archive or index */
    uint64_t resume;       /* layer: so many bytes are in BLOB already and come before those of SOURCE */
    uint32_t codec;        /* compress: number of worker.proto: 2 gzip, 3 zstd */
    uint32_t level;        /* compress: 0: the codec's default */
    uint64_t reserved[2];
};
static_assert(sizeof(struct bh_job_params) == 112, "fixed layout");

/* What a spare gets: with SOURCE, OUT, BLOB and those from BH_JOB_FD_MORE on. */
struct bh_job_order {
    char job[16];
    struct bh_job_params params;
};

#define BH_JOB_DEF_ENTRIES  1000000ull
#define BH_JOB_DEF_UNPACKED (64ull << 30)
#define BH_JOB_DEF_SPARSE   (64ull << 30)
#define BH_JOB_DEF_DOCUMENT (4ull << 20)
#define BH_JOB_DEF_PATH     4096u
#define BH_JOB_DEF_DEPTH    256u
#define BH_JOB_DEF_XATTRS   65536u
#define BH_JOB_DEF_PAX      (1u << 20)
#define BH_JOB_DEF_LAYERS   500u
#define BH_JOB_DEF_IMAGES   10000u

#endif
