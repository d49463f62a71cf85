/*
 * layer_format.h - the layer file on disk: header, exact tar, index in EROFS form.
 *
 * Room: worker (writes it), launch (verifies and mounts it), store (reads the header only).
 * This header is the whole of what those rooms share about the form; writer and verifier are
 * separate code on purpose.  The canonical subset is told in docs/store-format.md, section 3: for
 * one tar there is exactly one valid index, byte for byte.
 *
 * All numbers are little-endian; only little-endian hosts are supported, so the fields are plain
 * integers.  EROFS structures follow the kernel's fs/erofs/erofs_fs.h (documented in
 * Documentation/filesystems/erofs.rst); names here are our own.
 */
#ifndef BH_LAYER_FORMAT_H
#define BH_LAYER_FORMAT_H

#include <assert.h>
#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "layer files are little-endian"
#endif

#define BH_LAYER_MAGIC       "BHLAYER1" /* 8 bytes, no NUL */
#define BH_LAYER_VERSION     1u
#define BH_LAYER_HEADER_SIZE 4096u
#define BH_LAYER_SB_OFFSET   1024u /* where EROFS expects its superblock */
#define BH_LAYER_BLKBITS     9u
#define BH_LAYER_BLK         512u
#define BH_LAYER_TAR_OFFSET  4096u
#define BH_LAYER_TAR_BLK     8u            /* BH_LAYER_TAR_OFFSET in blocks */
#define BH_LAYER_MAX_BLOCKS  0xffffffffull /* block addresses have 32 bits: a file of 2 TiB */

/* header.flags */
#define BH_LAYER_F_ROOT_IMPLIED 0x1u /* the tar has no entry for "/": the root inode is 0755 root:root, time 0 */

struct bh_layer_header {
    char magic[8];
    uint32_t version;
    uint32_t flags;
    uint64_t tar_offset;      /* = 4096 */
    uint64_t tar_size;        /* exact bytes of the tar; zeros follow up to a multiple of 512 */
    uint64_t extra_offset;    /* first block behind the padded tar */
    uint64_t extra_size;      /* expanded sparse files; a multiple of 512, often 0; may be holes of the host file */
    uint64_t index_offset;    /* = extra_offset + extra_size */
    uint64_t index_size;      /* inode_size + tail_size; the file ends at index_offset + index_size */
    uint64_t inode_size;      /* the inode area, a multiple of 512 */
    uint64_t tail_size;       /* directory blocks and long link targets, a multiple of 512 */
    uint64_t inodes;          /* number of inodes, = superblock.inos */
    uint64_t entries;         /* entries of the tar (for people; nothing depends on it) */
    uint8_t diff_id[32];      /* SHA-256 of the tar */
    uint8_t index_sha256[32]; /* SHA-256 of [index_offset, index_offset + index_size) */
    uint8_t zero[1024 - 160];
};
static_assert(sizeof(struct bh_layer_header) == BH_LAYER_SB_OFFSET, "the superblock follows at 1024");

#define BH_EROFS_MAGIC 0xE0F5E1E2u

/* At byte 1024 of the layer file; the rest of the 4 KiB header is zero. */
struct bh_erofs_super {
    uint32_t magic;
    uint32_t checksum;       /* 0: not used */
    uint32_t feature_compat; /* 0 */
    uint8_t blkszbits;       /* 9 */
    uint8_t sb_extslots;     /* 0 */
    uint16_t root_nid;       /* = BH_EROFS_ROOT_NID */
    uint64_t inos;
    uint64_t build_time; /* 0 */
    uint32_t build_time_nsec;
    uint32_t blocks;           /* of the whole layer file */
    uint32_t meta_blkaddr;     /* = index_offset / 512 */
    uint32_t xattr_blkaddr;    /* 0: no shared xattrs */
    uint8_t uuid[16];          /* first 16 bytes of the diffID */
    uint8_t volume_name[16];   /* zero */
    uint32_t feature_incompat; /* 0 */
    uint16_t compr_algs;       /* 0 */
    uint16_t extra_devices;    /* 0 */
    uint16_t devt_slotoff;     /* 0 */
    uint8_t dirblkbits;        /* 0: directory blocks have the block size */
    uint8_t zero[37];          /* all later fields of the kernel's structure */
};
static_assert(sizeof(struct bh_erofs_super) == 128, "EROFS superblock");

/* i_format: bit 0 = extended inode, bits 1-3 = data layout.  No other values occur. */
#define BH_EROFS_PLAIN  0x0001u /* layout 0: data in whole blocks from i_u.startblk on */
#define BH_EROFS_INLINE 0x0005u /* layout 2: data behind the inode and its xattrs; short symlinks only */

#define BH_EROFS_SLOT       32u /* a nid counts slots of the inode area */
#define BH_EROFS_INODE_STEP 64u /* every inode starts at a multiple of this: it never crosses a block */
#define BH_EROFS_ROOT_NID   2u  /* the first 64 bytes of the inode area are zero: no inode has number 0 */

struct bh_erofs_inode {
    uint16_t i_format;
    uint16_t i_xattr_icount; /* 0, or (xattr bytes - 12) / 4 + 1 */
    uint16_t i_mode;
    uint16_t i_zero; /* startblk_hi of newer kernels */
    uint64_t i_size;
    uint32_t i_u;   /* startblk of PLAIN data; 0 where there is none; rdev of a whiteout = 0 */
    uint32_t i_ino; /* running number from 1 in inode order */
    uint32_t i_uid;
    uint32_t i_gid;
    int64_t i_mtime;
    uint32_t i_mtime_nsec;
    uint32_t i_nlink;
    uint8_t i_zero2[16];
};
static_assert(sizeof(struct bh_erofs_inode) == 64, "EROFS extended inode");

/* Behind the inode when i_xattr_icount is not 0; entries follow. */
struct bh_erofs_xattr_head {
    uint32_t name_filter; /* 0 */
    uint8_t shared_count; /* 0 */
    uint8_t zero[7];
};
static_assert(sizeof(struct bh_erofs_xattr_head) == 12, "EROFS xattr header");

struct bh_erofs_xattr {
    uint8_t name_len;
    uint8_t name_index; /* BH_XATTR_* */
    uint16_t value_size;
    char name[]; /* without its prefix; then the value; then zeros to a multiple of 4 */
};
static_assert(sizeof(struct bh_erofs_xattr) == 4, "EROFS xattr entry");

enum {
    BH_XATTR_USER = 1,        /* "user." */
    BH_XATTR_ACL_ACCESS = 2,  /* "system.posix_acl_access", name_len 0 */
    BH_XATTR_ACL_DEFAULT = 3, /* "system.posix_acl_default", name_len 0 */
    BH_XATTR_TRUSTED = 4,     /* "trusted." */
    BH_XATTR_SECURITY = 6,    /* "security." */
};
#define BH_XATTR_OPAQUE     "overlay.opaque" /* below trusted. and user., value "y"; both or none */
#define BH_XATTR_OVERLAY    "overlay."       /* no other name with this start below trusted. or user. */
#define BH_XATTR_CAPABILITY "capability"     /* the only name below security. */
#define BH_XATTR_MAX_BYTES  65536u           /* header and entries of one inode */

struct bh_erofs_dirent {
    uint64_t nid;
    uint16_t nameoff;  /* from the start of the 512-byte block */
    uint8_t file_type; /* BH_FT_* */
    uint8_t zero;
} __attribute__((packed));
static_assert(sizeof(struct bh_erofs_dirent) == 12, "EROFS directory entry");

enum {
    BH_FT_REG = 1,
    BH_FT_DIR = 2,
    BH_FT_CHR = 3, /* whiteouts only */
    BH_FT_FIFO = 5,
    BH_FT_LNK = 7,
};

#define BH_LAYER_NAME_MAX    255u
#define BH_LAYER_SYMLINK_MAX 4095u

/* Bounds: is [off, off + len) inside [base, base + size)?  No sum can wrap. */
static inline int bh_layer_inside(uint64_t off, uint64_t len, uint64_t base, uint64_t size) {
    return off >= base && len <= size && off - base <= size - len;
}
static inline uint64_t bh_layer_round(uint64_t n, uint64_t to) {
    return (n + to - 1) / to * to; /* callers keep n below 2^41 */
}

#endif
