/*
 * Finds the places in HTML, CSS and JavaScript that name another asset, and puts its final name
 * there. Build time only.
 *
 * One rule serves all three languages: a quoted string, or what stands between the brackets of
 * url(), that is a path from the root or relative (`/static/x.css`, `./x.js`, `../x.png`) and
 * names an asset exactly. So imports, attributes, url() and the strings of a program are all seen,
 * and nothing needs to parse a language.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "base/error.h"
#include "base/text.h"

#define QB_PACK_PATH_BYTES 128

/* The final name of the asset at `path`; null if there is none. An error is reported by `error`. */
typedef const char *qb_pack_name(void *context, const char *path, struct qb_error *error);

/*
 * Copies `bytes` to `text` with every reference replaced by what `name` gives for it.
 *
 * path     of the URL where `bytes` will be: what relative references start from
 * errors   a relative reference, or one below /static/, that names no asset; what `name` reports
 */
QB_MUST_USE bool qb_pack_rewrite(const char *bytes, size_t length, const char *path,
                                 qb_pack_name *name, void *context, struct qb_text *text,
                                 struct qb_error *error);
