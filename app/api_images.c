/*
 * Images, named by the SHA-256 of their bytes. What they are is told by their first bytes, never by
 * what the client says, and they are served as exactly that (security.md, uploads).
 */
#include <string.h>

#include "app/api_parts.h"

#define FOREVER "public, max-age=31536000, immutable"

/* The type by the magic bytes; null: none that is served. */
static const char *type_of(const char *bytes, size_t length)
{
    if (length >= 8 && memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) == 0) return "image/png";
    if (length >= 3 && memcmp(bytes, "\xff\xd8\xff", 3) == 0) return "image/jpeg";
    if (length >= 12 && memcmp(bytes, "RIFF", 4) == 0 && memcmp(bytes + 8, "WEBP", 4) == 0)
        return "image/webp";
    return NULL;
}

void qb_api_image_prepare(struct qb_call *call)
{
    const char *type = qb_http_header(call->request, "content-type");

    call->content_type = type_of(call->bytes, call->byte_count);
    if (call->byte_count > QB_IMAGE_BYTES_MAX)
        qb_call_fail(call, QB_API_IMAGE_TOO_LARGE);
    else if (call->content_type == NULL || type == NULL ||
             strncmp(type, call->content_type, strlen(call->content_type)) != 0)
        qb_call_fail(call, QB_API_IMAGE_TYPE);
}

void qb_api_image_add(struct qb_call *call, struct qb_store_link *link)
{
    char hex[QB_IMAGE_HASH_BYTES * 2 + 1];
    bool is_admin = (call->user.roles & QB_ROLE_ADMIN) != 0;
    struct qb_error error = {""};
    struct qb_image image = {
        .type = call->content_type,
        .bytes = call->bytes,
        .length = call->byte_count,
        .owner = call->user.id,
    };

    if ((call->user.roles & (QB_ROLE_SELLER | QB_ROLE_ADMIN)) == 0) {
        qb_call_fail(call, QB_API_FORBIDDEN);
        return;
    }
    qb_sha256_of(call->bytes, call->byte_count, image.hash);
    enum qb_store_result added = qb_call_ops(call)->image_add(
        link, &image, is_admin ? 0 : call->api->options.image_bytes_per_user, &error);
    if (added == QB_STORE_FULL) qb_call_limit(call, QB_API_IMAGES_FULL, "image_bytes_per_user");
    if (!qb_call_stored(call, added, "image_add", &error)) return;
    qb_hex(image.hash, sizeof image.hash, hex);
    qb_call_head(call, "Location: /images/%s\r\n", hex);
    qb_text_format(&call->text, "{\"image\":\"%s\",\"url\":\"/images/%s\"}", hex, hex);
    call->content_type = NULL;
    call->status = 201;
}

static void take_image(void *context, const char *type, const void *bytes, size_t length)
{
    static const char *const types[] = {"image/png", "image/jpeg", "image/webp"};
    struct qb_call *call = context;

    for (size_t i = 0; i < QB_COUNT(types); i++)
        if (strcmp(type, types[i]) == 0) call->content_type = types[i];
    qb_text_add(&call->text, bytes, length);
}

void qb_api_image(struct qb_call *call, struct qb_store_link *link)
{
    struct qb_error error = {""};
    char hex[QB_IMAGE_HASH_BYTES * 2 + 1];
    enum qb_store_result found =
        qb_call_ops(call)->image(link, call->image, take_image, call, &error);

    if (found == QB_STORE_NOT_FOUND) qb_call_fail(call, QB_API_NOT_FOUND);
    if (!qb_call_stored(call, found, "image", &error)) return;
    if (call->content_type == NULL) { /* no type that is ever stored */
        qb_call_fail(call, QB_API_INTERNAL);
        return;
    }
    qb_hex(call->image, 16, hex);
    qb_call_tag(call, hex);
    call->cache_control = FOREVER;
}
