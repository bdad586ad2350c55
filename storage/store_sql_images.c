#include "storage/store_sql_parts.h"

/* A page of the disk; the migration that began to count says the same. */
#define CHARGE_LEAST 4096

static enum qb_step insert_image(struct qb_store_link *link, const struct qb_image *image,
                                 struct qb_error *error)
{
    struct qb_statement *insert =
        qb_sql(link->sql, "INSERT INTO images (hash, type, bytes, owner) VALUES (?, ?, ?, ?) ON "
                          "CONFLICT DO NOTHING");

    qb_bind_blob(insert, 1, image->hash, QB_IMAGE_HASH_BYTES);
    qb_bind_text(insert, 2, image->type);
    qb_bind_blob(insert, 3, image->bytes, image->length);
    qb_bind_int(insert, 4, (int64_t)image->owner);
    return qb_step(insert, error);
}

/* Counts the image to its owner; false when that cannot be written. `*sum` gets the owner's all. */
static bool charge(struct qb_store_link *link, const struct qb_image *image, int64_t *sum,
                   struct qb_error *error)
{
    struct qb_statement *count =
        qb_sql(link->sql, "INSERT INTO image_use (owner, bytes) VALUES (?1, ?2) ON CONFLICT "
                          "(owner) DO UPDATE SET bytes = image_use.bytes + ?2 RETURNING bytes");

    qb_bind_int(count, 1, (int64_t)image->owner);
    qb_bind_int(count, 2, image->length > CHARGE_LEAST ? (int64_t)image->length : CHARGE_LEAST);
    bool is_good = qb_step(count, error) == QB_STEP_ROW;
    if (is_good) *sum = qb_column_int(count, 0);
    qb_sql_end(count);
    return is_good;
}

enum qb_store_result qb_store_image_add(struct qb_store_link *link, const struct qb_image *image,
                                        int64_t bytes_max, struct qb_error *error)
{
    struct qb_error ignored;
    int64_t sum = 0;

    if (!qb_sql_begin(link->sql, error)) return QB_STORE_FAILED;
    bool is_good = insert_image(link, image, error) == QB_STEP_DONE;
    bool is_new = is_good && qb_sql_changes(link->sql) > 0;
    if (is_new) is_good = charge(link, image, &sum, error);
    bool is_over = bytes_max > 0 && sum > bytes_max;
    bool do_commit = is_good && !is_over;
    bool is_ended = qb_sql_finish(link->sql, do_commit, is_good ? error : &ignored);
    if (!is_good) return QB_STORE_FAILED;
    if (is_over) return QB_STORE_FULL;
    return is_ended ? QB_STORE_OK : QB_STORE_FAILED;
}

enum qb_store_result qb_store_image_is_there(struct qb_store_link *link, const uint8_t *hash,
                                             struct qb_error *error)
{
    struct qb_statement *query = qb_sql(link->sql, "SELECT 1 FROM images WHERE hash = ?");

    qb_bind_blob(query, 1, hash, QB_IMAGE_HASH_BYTES);
    enum qb_step step = qb_step(query, error);
    qb_sql_end(query);
    if (step == QB_STEP_ROW) return QB_STORE_OK;
    return step == QB_STEP_DONE ? QB_STORE_NOT_FOUND : QB_STORE_FAILED;
}

enum qb_store_result qb_store_image(struct qb_store_link *link, const uint8_t *hash,
                                    void (*take)(void *, const char *, const void *, size_t),
                                    void *context, struct qb_error *error)
{
    struct qb_statement *query = qb_sql(link->sql, "SELECT type, bytes FROM images WHERE hash = ?");
    size_t length = 0;

    qb_bind_blob(query, 1, hash, QB_IMAGE_HASH_BYTES);
    enum qb_step step = qb_step(query, error);
    if (step != QB_STEP_ROW) return step == QB_STEP_DONE ? QB_STORE_NOT_FOUND : QB_STORE_FAILED;
    const void *bytes = qb_column_blob(query, 1, &length);
    take(context, qb_column_text(query, 0), bytes, length);
    qb_sql_end(query);
    return QB_STORE_OK;
}
