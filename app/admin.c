#include "app/admin.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/password.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

static bool read_password(const char *path, char password[QB_PASSWORD_BYTES_MAX + 2],
                          struct qb_error *error)
{
    struct stat status;
    int file = path[0] != '\0' ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    if (file < 0) {
        return qb_error_set(error,
                            "admin_password_file: \"%s\" cannot be read; put the password "
                            "of admin_email into a file of mode 0600",
                            path);
    }
    bool is_known = fstat(file, &status) == 0;
    ssize_t length = read(file, password, QB_PASSWORD_BYTES_MAX + 1);
    (void)close(file);
    if (!is_known || (status.st_mode & 077) != 0) {
        return qb_error_set(error, "admin_password_file: %s may be read by others; chmod 600 it",
                            path);
    }
    while (length > 0 && (password[length - 1] == '\n' || password[length - 1] == '\r')) length--;
    password[length > 0 ? length : 0] = '\0';
    const char *problem = qb_password_problem(password, length > 0 ? (size_t)length : 0);
    return problem == NULL || qb_error_set(error, "admin_password_file: %s", problem);
}

bool qb_admin_ensure_from_file(const struct qb_store_ops *store, struct qb_store_link *link,
                               const char *email, const char *password_file, struct qb_error *error)
{
    char password[QB_PASSWORD_BYTES_MAX + 2] = "";
    struct qb_user user = {0};

    if (email[0] == '\0') return true;
    enum qb_store_result known = store->user_by_email(link, email, &user, error);
    if (known != QB_STORE_NOT_FOUND) return known == QB_STORE_OK;
    QB_TRY(read_password(password_file, password, error));
    (void)memset(&user, 0, sizeof user);
    user.id = qb_id_new();
    user.roles = QB_ROLE_BIDDER | QB_ROLE_SELLER | QB_ROLE_ADMIN;
    user.created_us = qb_clock_wall_us();
    size_t length = strnlen(email, QB_EMAIL_BYTES_MAX);
    for (size_t i = 0; i < length; i++) {
        user.email[i] = (char)(email[i] >= 'A' && email[i] <= 'Z' ? email[i] + 32 : email[i]);
    }
    (void)memcpy(user.name, "Administrator", 14);
    bool is_hashed = qb_password_hash(password, strlen(password), user.verifier);
    explicit_bzero(password, sizeof password);
    if (!is_hashed) return qb_error_set(error, "admin: the password could not be hashed");
    qb_log(QB_LOG_INFO, "admin.made", QB_TEXT("why", "admin_email had no account"));
    return store->user_add(link, &user, error) == QB_STORE_OK;
}
