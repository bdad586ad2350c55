/*
 * The operator's own account, made at the start, because an e-mail alone must not give power.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "storage/store.h"

/*
 * Makes the account `email` with all roles and the password in `password_file` unless the e-mail
 * has an account; that one is left as it is. Does nothing with an empty e-mail.
 *
 * False with `error` set: the file cannot be read, others may read it, or its password is no good.
 */
QB_MUST_USE bool qb_admin_ensure_from_file(const struct qb_store_ops *store,
                                           struct qb_store_link *link, const char *email,
                                           const char *password_file, struct qb_error *error);
