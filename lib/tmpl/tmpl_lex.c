/*
 * tmpl_lex.c - template text into tokens; quoted strings into bytes.
 *
 * Room: client.  The text is the user's: any bytes, no NUL is special.  Trimming by {{- and -}} and
 * comments end here, the parser never sees them.
 * Must not read behind `end`.
 */
#include "tmpl/tmpl_int.h"

#include <stdio.h>
#include <string.h>

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Letters of all scripts: every byte of a multi-byte character counts as a letter. */
static bool is_word(char c) {
    return c == '_' || is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

static bool begins(const struct tmpl_lex *lx, const char *p, const char *word) {
    size_t n = strlen(word);

    return (size_t)(lx->end - p) >= n && memcmp(p, word, n) == 0;
}

void tmpl_position(const char *text, const char *at, unsigned *out_line, unsigned *out_column) {
    unsigned line = 1, column = 1;

    for (const char *p = text; p < at; p++) {
        column++;
        if (*p == '\n')
            line++, column = 1;
    }
    *out_line = line;
    *out_column = column;
}

int tmpl_lex_fail(struct tmpl_lex *lx, const char *at, int code, const char *fmt, ...) {
    unsigned line, column;
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    tmpl_position(lx->text, at, &line, &column);
    return bh_err_set(lx->err, code, "template:%u:%u: %s", line, column, text);
}

/* At "{{": length of the opening with its trim mark, which needs a blank behind it. */
static size_t open_len(const struct tmpl_lex *lx, const char *p, bool *out_trim) {
    *out_trim = lx->end - p >= 4 && p[2] == '-' && is_blank(p[3]);
    return *out_trim ? 3 : 2;
}

/* At a possible end: "}}" or blank "-}}".  0 if it is none. */
static size_t close_len(const struct tmpl_lex *lx, const char *p, bool *out_trim) {
    *out_trim = false;
    if (begins(lx, p, "}}"))
        return 2;
    if (p < lx->end && is_blank(*p) && begins(lx, p + 1, "-}}")) {
        *out_trim = true;
        return 4;
    }
    return 0;
}

/* lx->pos is behind "{{" (and the trim mark): skip a comment if there is one. */
static int skip_comment(struct tmpl_lex *lx, const char *open, bool *out_was) {
    const char *p = lx->pos, *close;
    size_t n;

    *out_was = false;
    while (p < lx->end && is_blank(*p) && p != open + 2) /* blanks are allowed only behind a trim mark */
        p++;
    if (!begins(lx, p, "/*"))
        return 0;
    close = memmem(p + 2, (size_t)(lx->end - p) - 2, "*/", 2);
    if (!close)
        return tmpl_lex_fail(lx, open, BH_E_INVALID, "unclosed comment");
    n = close_len(lx, close + 2, &lx->trim_next);
    if (n == 0)
        return tmpl_lex_fail(lx, open, BH_E_INVALID, "comment ends before closing delimiter");
    lx->pos = close + 2 + n;
    *out_was = true;
    return 0;
}

static const char *find_open(const struct tmpl_lex *lx) {
    const char *p = memmem(lx->pos, (size_t)(lx->end - lx->pos), "{{", 2);

    return p ? p : lx->end;
}

/* The text up to the next action.  The "{{" itself is read again by the next call if there was text. */
static bool take_text(struct tmpl_lex *lx, const char *open, struct tmpl_tok *out) {
    const char *from = lx->pos, *to = open;
    bool trim = false;

    if (lx->trim_next)
        while (from < open && is_blank(*from))
            from++;
    lx->trim_next = false;
    if (open < lx->end)
        open_len(lx, open, &trim);
    while (trim && to > from && is_blank(to[-1]))
        to--;
    lx->pos = open;
    *out = (struct tmpl_tok){TMPL_T_TEXT, from, (size_t)(to - from), false};
    return to > from;
}

static int lex_text(struct tmpl_lex *lx, struct tmpl_tok *out) {
    for (;;) {
        const char *open = find_open(lx);
        bool trim, comment;

        if (take_text(lx, open, out))
            return 0;
        if (open == lx->end) {
            out->kind = TMPL_T_END;
            return 0;
        }
        lx->pos = open + open_len(lx, open, &trim);
        if (skip_comment(lx, open, &comment) < 0)
            return lx->err->code;
        if (!comment) {
            lx->inside = true;
            *out = (struct tmpl_tok){TMPL_T_OPEN, open, 2, false};
            return 0;
        }
    }
}

static int lex_quoted(struct tmpl_lex *lx, char quote, enum tmpl_tok_kind kind, struct tmpl_tok *out) {
    const char *p = lx->pos + 1;

    for (; p < lx->end && *p != quote; p++) {
        if (quote != '`' && *p == '\n')
            break;
        if (quote != '`' && *p == '\\' && p + 1 < lx->end && p[1] != '\n')
            p++;
    }
    if (p >= lx->end || *p != quote)
        return tmpl_lex_fail(lx, lx->pos, BH_E_INVALID, "unterminated %s",
                             quote == '\''  ? "character constant"
                             : quote == '"' ? "quoted string"
                                            : "raw quoted string");
    *out = (struct tmpl_tok){kind, lx->pos, (size_t)(p + 1 - lx->pos), out->spaced};
    lx->pos = p + 1;
    return 0;
}

/* Sign, digits of any base, point, exponent; the parser converts and judges them. */
static int lex_number(struct tmpl_lex *lx, struct tmpl_tok *out) {
    const char *p = lx->pos;

    if (*p == '+' || *p == '-')
        p++;
    while (p < lx->end && (is_word(*p) || *p == '.' ||
                           ((*p == '+' || *p == '-') && (p[-1] == 'e' || p[-1] == 'E') && !begins(lx, lx->pos, "0x"))))
        p++;
    *out = (struct tmpl_tok){TMPL_T_NUMBER, lx->pos, (size_t)(p - lx->pos), out->spaced};
    lx->pos = p;
    return 0;
}

static void lex_word(struct tmpl_lex *lx, enum tmpl_tok_kind kind, size_t prefix, struct tmpl_tok *out) {
    const char *from = lx->pos, *p = lx->pos + prefix;

    while (p < lx->end && is_word(*p))
        p++;
    if (kind == TMPL_T_FIELD)
        from++;
    *out = (struct tmpl_tok){kind, from, (size_t)(p - from), out->spaced};
    lx->pos = p;
}

static int lex_mark(struct tmpl_lex *lx, enum tmpl_tok_kind kind, size_t n, struct tmpl_tok *out) {
    *out = (struct tmpl_tok){kind, lx->pos, n, out->spaced};
    lx->pos += n;
    return 0;
}

static int lex_bad(struct tmpl_lex *lx) {
    char c = *lx->pos;

    if (c > ' ' && c < 0x7f)
        return tmpl_lex_fail(lx, lx->pos, BH_E_INVALID, "unexpected \"%c\" in an action", c);
    return tmpl_lex_fail(lx, lx->pos, BH_E_INVALID, "unexpected byte 0x%02x in an action", (unsigned char)c);
}

static int lex_operand(struct tmpl_lex *lx, struct tmpl_tok *out) {
    char c = *lx->pos, after = lx->end - lx->pos > 1 ? lx->pos[1] : '\0';

    if (c == '.' && !is_digit(after)) {
        if (is_word(after))
            lex_word(lx, TMPL_T_FIELD, 1, out);
        else
            lex_mark(lx, TMPL_T_DOT, 1, out);
        return 0;
    }
    if (c == '.' || c == '+' || c == '-' || is_digit(c))
        return lex_number(lx, out);
    if (c == '"' || c == '`' || c == '\'')
        return lex_quoted(lx, c, c == '"' ? TMPL_T_STRING : c == '`' ? TMPL_T_RAW : TMPL_T_CHAR, out);
    if (c == '$' || is_word(c)) {
        lex_word(lx, c == '$' ? TMPL_T_VAR : TMPL_T_WORD, 1, out);
        return 0;
    }
    return lex_bad(lx);
}

static int lex_inside(struct tmpl_lex *lx, struct tmpl_tok *out) {
    bool trim = false;
    size_t n;

    out->spaced = false;
    while ((n = close_len(lx, lx->pos, &trim)) == 0 && lx->pos < lx->end && is_blank(*lx->pos)) {
        out->spaced = true;
        lx->pos++;
    }
    if (n > 0) {
        lx->inside = false;
        lx->trim_next = trim;
        return lex_mark(lx, TMPL_T_CLOSE, n, out);
    }
    if (lx->pos >= lx->end)
        return tmpl_lex_fail(lx, lx->end, BH_E_INVALID, "unclosed action");
    switch (*lx->pos) {
    case '(':
        return lex_mark(lx, TMPL_T_LPAREN, 1, out);
    case ')':
        return lex_mark(lx, TMPL_T_RPAREN, 1, out);
    case '|':
        return lex_mark(lx, TMPL_T_PIPE, 1, out);
    case ',':
        return lex_mark(lx, TMPL_T_COMMA, 1, out);
    case '=':
        return lex_mark(lx, TMPL_T_ASSIGN, 1, out);
    case ':':
        if (begins(lx, lx->pos, ":="))
            return lex_mark(lx, TMPL_T_DECLARE, 2, out);
        return tmpl_lex_fail(lx, lx->pos, BH_E_INVALID, "expected :=");
    default:
        return lex_operand(lx, out);
    }
}

int tmpl_lex_next(struct tmpl_lex *lx, struct tmpl_tok *out) {
    *out = (struct tmpl_tok){0};
    return lx->inside ? lex_inside(lx, out) : lex_text(lx, out);
}

void tmpl_add_utf8(struct bh_buf *out, uint32_t c) {
    if (c < 0x80) {
        bh_buf_addc(out, (char)c);
        return;
    }
    if (c >= 0x10000) {
        bh_buf_addc(out, (char)(0xf0 | c >> 18));
        bh_buf_addc(out, (char)(0x80 | (c >> 12 & 0x3f)));
    } else if (c >= 0x800) {
        bh_buf_addc(out, (char)(0xe0 | c >> 12));
    } else {
        bh_buf_addc(out, (char)(0xc0 | c >> 6));
        bh_buf_addc(out, (char)(0x80 | (c & 0x3f)));
        return;
    }
    bh_buf_addc(out, (char)(0x80 | (c >> 6 & 0x3f)));
    bh_buf_addc(out, (char)(0x80 | (c & 0x3f)));
}

uint32_t tmpl_code_point(const char *s, size_t n) {
    const unsigned char *u = (const unsigned char *)s;

    switch (n) {
    case 1:
        return u[0];
    case 2:
        return (u[0] & 0x1fU) << 6 | (u[1] & 0x3fU);
    case 3:
        return (u[0] & 0x0fU) << 12 | (u[1] & 0x3fU) << 6 | (u[2] & 0x3fU);
    default:
        return (u[0] & 0x07U) << 18 | (u[1] & 0x3fU) << 12 | (u[2] & 0x3fU) << 6 | (u[3] & 0x3fU);
    }
}

/* `digits` digits of the base at s. */
static bool read_digits(const char *s, const char *end, unsigned digits, unsigned base, uint32_t *out) {
    uint32_t v = 0;

    if ((size_t)(end - s) < digits)
        return false;
    for (unsigned i = 0; i < digits; i++) {
        const char *all = "0123456789abcdef", *at = NULL;
        char c = s[i] >= 'A' && s[i] <= 'F' ? (char)(s[i] + 32) : s[i];

        if (c != '\0')
            at = memchr(all, c, base);
        if (!at)
            return false;
        v = v * base + (uint32_t)(at - all);
    }
    *out = v;
    return true;
}

/* *at is behind the backslash. */
static bool unquote_escape(const char **at, const char *end, char quote, struct bh_buf *out) {
    static const char from[] = "abfnrtv\\", to[] = "\a\b\f\n\r\t\v\\";
    const char *p = *at, *hit;
    char c = *p;
    uint32_t v;
    unsigned digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;

    if (c == quote || (c != '\0' && (hit = strchr(from, c)))) {
        bh_buf_addc(out, c == quote ? quote : to[hit - from]);
        *at = p + 1;
        return true;
    }
    if (digits > 0) {
        if (!read_digits(p + 1, end, digits, 16, &v))
            return false;
        *at = p + 1 + digits;
    } else {
        if (!read_digits(p, end, 3, 8, &v) || v > 255)
            return false;
        *at = p + 3;
    }
    if (digits < 4)
        bh_buf_addc(out, (char)v);
    else if (v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
        return false;
    else
        tmpl_add_utf8(out, v);
    return true;
}

bool tmpl_unquote(const char *s, size_t n, struct bh_buf *out) {
    const char *p = s + 1, *end = s + n - 1;

    while (p < end) {
        if (*s == '`' || *p != '\\') {
            if (*s != '`' || *p != '\r') /* Go drops carriage returns of raw strings */
                bh_buf_addc(out, *p);
            p++;
            continue;
        }
        p++;
        if (p >= end || !unquote_escape(&p, end, *s, out))
            return false;
    }
    return true;
}
