/*
 * The descriptions of the API for programs.
 */
#include "app/api_parts.h"
#include "app/documents.h"

#define SOME_MINUTES "public, max-age=300"

static void answer(struct qb_call *call, enum qb_document_kind kind)
{
    const struct qb_documents *documents = call->api->options.documents;

    call->cache_control = SOME_MINUTES;
    qb_call_tag(call, documents->list[kind].tag);
    if (call->status == 304) {
        qb_call_answer(call);
        return;
    }
    const struct qb_http_response response = {
        .status = 200,
        .content_type = "application/json",
        .cache_control = call->cache_control,
        .etag = call->etag,
        .headers = call->head[0] != '\0' ? call->head : NULL,
        .frame = documents->list[kind].frame,
    };
    qb_http_respond(call->request, &response);
    qb_call_free(call);
}

void qb_api_openapi(struct qb_call *call)
{
    answer(call, QB_DOCUMENT_OPENAPI);
}

void qb_api_asyncapi(struct qb_call *call)
{
    answer(call, QB_DOCUMENT_ASYNCAPI);
}
