#include "static/pack_refs.h"

#include <string.h>

static bool is_path_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '/' || c == '-' || c == '_';
}

static char closing(char opening)
{
    return opening == '(' ? ')' : opening;
}

/* The length of the path that starts at `at` and ends before `end_character`; 0 if it is none. */
static size_t path_length(const char *at, size_t room, char end_character)
{
    size_t length = 0;

    while (length < room && is_path_character(at[length])) length++;
    if (length == room || at[length] != end_character || length < 2) return 0;
    if (at[0] == '/' || strncmp(at, "./", 2) == 0 || strncmp(at, "../", 3) == 0) return length;
    return 0;
}

/* Removes the last segment of a path, so that it ends in a slash again. */
static void go_up(char *path, size_t *used)
{
    if (*used > 1) (*used)--;
    while (*used > 0 && path[*used - 1] != '/') (*used)--;
    path[*used] = '\0';
}

/* Resolves `reference` against `base`, both paths, into `path`. False if it does not fit. */
static bool resolve(const char *base, const char *reference, size_t length, char *path)
{
    size_t used = 0;

    if (reference[0] != '/') {
        const char *slash = strrchr(base, '/');
        used = (size_t)(slash - base) + 1;
    }
    if (used + length >= QB_PACK_PATH_BYTES) return false;
    (void)memcpy(path, base, used);
    path[used] = '\0';
    for (size_t i = 0; i < length;) {
        const char *at = reference + i;
        size_t rest = length - i;
        if (rest >= 2 && strncmp(at, "./", 2) == 0) {
            i += 2;
        } else if (rest >= 3 && strncmp(at, "../", 3) == 0) {
            go_up(path, &used);
            i += 3;
        } else {
            const char *slash = memchr(at, '/', rest);
            size_t segment = slash != NULL ? (size_t)(slash - at) + 1 : rest;
            (void)memcpy(path + used, at, segment);
            used += segment;
            path[used] = '\0';
            i += segment;
        }
    }
    return true;
}

static bool must_exist(const char *reference, const char *path)
{
    return reference[0] == '.' || strncmp(path, "/static/", 8) == 0;
}

bool qb_pack_rewrite(const char *bytes, size_t length, const char *path, qb_pack_name *name,
                     void *context, struct qb_text *text, struct qb_error *error)
{
    char target[QB_PACK_PATH_BYTES];

    for (size_t i = 0; i < length; i++) {
        char opening = bytes[i];

        qb_text_add(text, &opening, 1);
        if (opening != '"' && opening != '\'' && opening != '(') continue;
        const char *reference = bytes + i + 1;
        size_t reference_length = path_length(reference, length - i - 1, closing(opening));
        if (reference_length == 0) continue;
        if (!resolve(path, reference, reference_length, target)) continue;
        error->text[0] = '\0';
        const char *final_name = name(context, target, error);
        if (final_name == NULL && error->text[0] != '\0') return false;
        if (final_name == NULL && must_exist(reference, target)) {
            return qb_error_set(error, "%s names %s, which is no asset", path, target);
        }
        if (final_name == NULL) continue;
        qb_text_string(text, final_name);
        i += reference_length;
    }
    return true;
}
