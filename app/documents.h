/*
 * The machine-readable descriptions of the API: OpenAPI for HTTP, AsyncAPI for the WebSocket. Their
 * texts are data (app/descriptions/) with places that the program's own tables fill: a string
 * "@name" is replaced by what the table gives, a member `"@name": 0` by the members that it gives.
 * So a code, a command or a limit is written down once.
 *
 * Made once at the start, one thread; then read-only.
 */
#pragma once

#include <stddef.h>

#include "base/frame.h"
#include "base/text.h"

struct qb_settings;

enum qb_document_kind { QB_DOCUMENT_OPENAPI, QB_DOCUMENT_ASYNCAPI, QB_DOCUMENT_COUNT };

#define QB_DOCUMENT_TAG_BYTES 33

struct qb_documents {
    struct {
        struct qb_frame *frame;
        char tag[QB_DOCUMENT_TAG_BYTES]; /* of its bytes, for an ETag */
    } list[QB_DOCUMENT_COUNT];
};

struct qb_documents *qb_documents_new(const struct qb_settings *settings);
void qb_documents_free(struct qb_documents **documents);

/* The document as text. */
void qb_document_write(enum qb_document_kind kind, const struct qb_settings *settings,
                       struct qb_text *text);
