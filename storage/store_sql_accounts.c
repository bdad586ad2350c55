#include <string.h>

#include "base/clock.h"
#include "storage/store_sql_parts.h"

static enum qb_store_result read_user(struct qb_statement *query, struct qb_user *user,
                                      struct qb_error *error)
{
    enum qb_step step = qb_step(query, error);

    if (step != QB_STEP_ROW) return step == QB_STEP_DONE ? QB_STORE_NOT_FOUND : QB_STORE_FAILED;
    user->id = (qb_id)qb_column_int(query, 0);
    qb_column_copy(query, 1, user->email, sizeof user->email);
    qb_column_copy(query, 2, user->name, sizeof user->name);
    qb_column_copy(query, 3, user->verifier, sizeof user->verifier);
    user->roles = (unsigned)qb_column_int(query, 4);
    user->is_banned = qb_column_int(query, 5) != 0;
    user->created_us = qb_column_int(query, 6);
    qb_sql_end(query);
    return QB_STORE_OK;
}

enum qb_store_result qb_store_user_add(struct qb_store_link *link, const struct qb_user *user,
                                       struct qb_error *error)
{
    struct qb_statement *insert =
        qb_sql(link->sql, "INSERT INTO users (id, email, name, verifier, roles, is_banned, "
                          "created_us) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING");

    qb_bind_int(insert, 1, (int64_t)user->id);
    qb_bind_text(insert, 2, user->email);
    qb_bind_text(insert, 3, user->name);
    qb_bind_text(insert, 4, user->verifier);
    qb_bind_int(insert, 5, user->roles);
    qb_bind_int(insert, 6, user->is_banned);
    qb_bind_int(insert, 7, user->created_us);
    return qb_store_write(link, insert, QB_STORE_TAKEN, error);
}

#define USER_COLUMNS "SELECT id, email, name, verifier, roles, is_banned, created_us FROM users "

enum qb_store_result qb_store_user_by_email(struct qb_store_link *link, const char *email,
                                            struct qb_user *user, struct qb_error *error)
{
    struct qb_statement *query = qb_sql(link->sql, USER_COLUMNS "WHERE email = ?");

    qb_bind_text(query, 1, email);
    return read_user(query, user, error);
}

enum qb_store_result qb_store_user_by_id(struct qb_store_link *link, qb_id id, struct qb_user *user,
                                         struct qb_error *error)
{
    struct qb_statement *query = qb_sql(link->sql, USER_COLUMNS "WHERE id = ?");

    qb_bind_int(query, 1, (int64_t)id);
    return read_user(query, user, error);
}

enum qb_store_result qb_store_user_update(struct qb_store_link *link, const struct qb_user *user,
                                          struct qb_error *error)
{
    struct qb_statement *update =
        qb_sql(link->sql,
               "UPDATE users SET name = ?, verifier = ?, roles = ?, is_banned = ? WHERE id = ?");

    qb_bind_text(update, 1, user->name);
    qb_bind_text(update, 2, user->verifier);
    qb_bind_int(update, 3, user->roles);
    qb_bind_int(update, 4, user->is_banned);
    qb_bind_int(update, 5, (int64_t)user->id);
    return qb_store_write(link, update, QB_STORE_NOT_FOUND, error);
}

enum qb_store_result qb_store_login_add(struct qb_store_link *link, const struct qb_login *login,
                                        struct qb_error *error)
{
    struct qb_error ignored;
    struct qb_statement *insert = NULL;

    if (!qb_sql_begin(link->sql, error)) return QB_STORE_FAILED;
    /* Logins that have ended go with the next new one: the table holds what is in use. */
    struct qb_statement *remove = qb_sql(link->sql, "DELETE FROM logins WHERE expires_us < ?");
    qb_bind_int(remove, 1, qb_clock_wall_us());
    bool is_good = qb_step(remove, error) == QB_STEP_DONE;
    if (is_good) {
        insert = qb_sql(link->sql, "INSERT INTO logins (hash, \"user\", created_us, expires_us) "
                                   "VALUES (?, ?, ?, ?)");
        qb_bind_blob(insert, 1, login->hash, sizeof login->hash);
        qb_bind_int(insert, 2, (int64_t)login->user);
        qb_bind_int(insert, 3, login->created_us);
        qb_bind_int(insert, 4, login->expires_us);
        is_good = qb_step(insert, error) == QB_STEP_DONE;
    }
    bool is_committed = qb_sql_finish(link->sql, is_good, is_good ? error : &ignored);
    return is_good && is_committed ? QB_STORE_OK : QB_STORE_FAILED;
}

enum qb_store_result qb_store_login_find(struct qb_store_link *link, const uint8_t *hash,
                                         struct qb_login *login, struct qb_error *error)
{
    struct qb_statement *query =
        qb_sql(link->sql, "SELECT \"user\", created_us, expires_us FROM logins WHERE hash = ?");

    qb_bind_blob(query, 1, hash, QB_SHA256_BYTES);
    enum qb_step step = qb_step(query, error);
    if (step != QB_STEP_ROW) return step == QB_STEP_DONE ? QB_STORE_NOT_FOUND : QB_STORE_FAILED;
    (void)memcpy(login->hash, hash, QB_SHA256_BYTES);
    login->user = (qb_id)qb_column_int(query, 0);
    login->created_us = qb_column_int(query, 1);
    login->expires_us = qb_column_int(query, 2);
    qb_sql_end(query);
    return QB_STORE_OK;
}

/* Rows that have ended go with the next new one, as logins do. */
static bool write_revocation(struct qb_store_link *link, const struct qb_revocation *revocation,
                             struct qb_error *error)
{
    struct qb_statement *remove = qb_sql(link->sql, "DELETE FROM revocations WHERE until_us <= ?");

    qb_bind_int(remove, 1, qb_clock_wall_us());
    if (qb_step(remove, error) != QB_STEP_DONE) return false;
    struct qb_statement *insert =
        qb_sql(link->sql, "INSERT INTO revocations (login, account, since_us, until_us) "
                          "VALUES (?, ?, ?, ?) ON CONFLICT (login, account) DO UPDATE SET "
                          "since_us = excluded.since_us, until_us = excluded.until_us");
    qb_bind_int(insert, 1, (int64_t)revocation->login);
    qb_bind_int(insert, 2, (int64_t)revocation->user);
    qb_bind_int(insert, 3, revocation->since_us);
    qb_bind_int(insert, 4, revocation->until_us);
    return qb_step(insert, error) == QB_STEP_DONE;
}

enum qb_store_result qb_store_login_remove(struct qb_store_link *link, const uint8_t *hash,
                                           const struct qb_revocation *revocation,
                                           struct qb_error *error)
{
    struct qb_error ignored;

    if (!qb_sql_begin(link->sql, error)) return QB_STORE_FAILED;
    struct qb_statement *remove = qb_sql(link->sql, "DELETE FROM logins WHERE hash = ?");
    qb_bind_blob(remove, 1, hash, QB_SHA256_BYTES);
    bool is_good = qb_step(remove, error) == QB_STEP_DONE;
    bool is_there = is_good && qb_sql_changes(link->sql) > 0;
    if (is_there) is_good = write_revocation(link, revocation, error);
    bool is_committed = qb_sql_finish(link->sql, is_good, is_good ? error : &ignored);
    if (!is_good || !is_committed) return QB_STORE_FAILED;
    return is_there ? QB_STORE_OK : QB_STORE_NOT_FOUND;
}

enum qb_store_result qb_store_revoke(struct qb_store_link *link,
                                     const struct qb_revocation *revocation, struct qb_error *error)
{
    struct qb_error ignored;

    if (!qb_sql_begin(link->sql, error)) return QB_STORE_FAILED;
    bool is_good = write_revocation(link, revocation, error);
    bool is_committed = qb_sql_finish(link->sql, is_good, is_good ? error : &ignored);
    return is_good && is_committed ? QB_STORE_OK : QB_STORE_FAILED;
}

enum qb_store_result qb_store_revocations(struct qb_store_link *link, qb_time_us now_us,
                                          bool (*each)(void *, const struct qb_revocation *),
                                          void *context, struct qb_error *error)
{
    struct qb_statement *query = qb_sql(
        link->sql, "SELECT login, account, since_us, until_us FROM revocations WHERE until_us "
                   "> ? ORDER BY since_us");
    enum qb_step step = QB_STEP_DONE;

    qb_bind_int(query, 1, now_us);
    while ((step = qb_step(query, error)) == QB_STEP_ROW) {
        const struct qb_revocation revocation = {
            .login = (uint64_t)qb_column_int(query, 0),
            .user = (qb_id)qb_column_int(query, 1),
            .since_us = qb_column_int(query, 2),
            .until_us = qb_column_int(query, 3),
        };
        if (!each(context, &revocation)) break;
    }
    qb_sql_end(query);
    return step == QB_STEP_FAILED ? QB_STORE_FAILED : QB_STORE_OK;
}

enum qb_store_result qb_store_limit_set(struct qb_store_link *link, qb_id user,
                                        const char *currency, int64_t amount,
                                        struct qb_error *error)
{
    struct qb_statement *change =
        amount < 0
            ? qb_sql(link->sql, "DELETE FROM limits WHERE \"user\" = ?1 AND currency = ?2")
            : qb_sql(link->sql,
                     "INSERT INTO limits (\"user\", currency, amount) VALUES (?1, ?2, ?3) ON "
                     "CONFLICT (\"user\", currency) DO UPDATE SET amount = excluded.amount");

    qb_bind_int(change, 1, (int64_t)user);
    qb_bind_text(change, 2, currency);
    if (amount >= 0) qb_bind_int(change, 3, amount);
    return qb_store_write(link, change, QB_STORE_OK, error);
}

enum qb_store_result qb_store_limits(struct qb_store_link *link,
                                     bool (*each)(void *, qb_id, const char *, int64_t),
                                     void *context, struct qb_error *error)
{
    struct qb_statement *query = qb_sql(link->sql, "SELECT \"user\", currency, amount FROM limits");
    enum qb_step step = QB_STEP_DONE;

    while ((step = qb_step(query, error)) == QB_STEP_ROW) {
        bool goes_on = each(context, (qb_id)qb_column_int(query, 0), qb_column_text(query, 1),
                            qb_column_int(query, 2));
        if (!goes_on) break;
    }
    qb_sql_end(query);
    return step == QB_STEP_FAILED ? QB_STORE_FAILED : QB_STORE_OK;
}

enum qb_store_result qb_store_banned(struct qb_store_link *link, bool (*each)(void *, qb_id),
                                     void *context, struct qb_error *error)
{
    struct qb_statement *query = qb_sql(link->sql, "SELECT id FROM users WHERE is_banned = 1");
    enum qb_step step = QB_STEP_DONE;

    while ((step = qb_step(query, error)) == QB_STEP_ROW) {
        if (!each(context, (qb_id)qb_column_int(query, 0))) break;
    }
    qb_sql_end(query);
    return step == QB_STEP_FAILED ? QB_STORE_FAILED : QB_STORE_OK;
}
