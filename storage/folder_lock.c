#include "storage/folder_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_NAME "quickbid.lock"

static int refuse(int lock, const char *folder, struct qb_error *error)
{
    char holder[24] = "";
    ssize_t length = read(lock, holder, sizeof holder - 1);

    if (length < 0) length = 0;
    holder[length] = '\0';
    (void)qb_error_set(error,
                       "%s: another process serves this data folder (pid %.20s); stop it, or give "
                       "this one a folder of its own with --data-dir",
                       folder, holder[0] != '\0' ? holder : "unknown");
    (void)close(lock);
    return -1;
}

int qb_folder_lock(const char *folder, struct qb_error *error)
{
    char path[512];
    char pid[24];
    /* An open file description's lock: not lost when another descriptor of the file closes. */
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        (void)qb_error_set(error, "%s: cannot make the data folder: %s", folder, strerror(errno));
        return -1;
    }
    (void)snprintf(path, sizeof path, "%.480s/" LOCK_NAME, folder);
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock < 0) {
        (void)qb_error_set(error, "%s: cannot open: %s", path, strerror(errno));
        return -1;
    }
    if (fcntl(lock, F_OFD_SETLK, &whole) != 0) return refuse(lock, folder, error);
    int length = snprintf(pid, sizeof pid, "%ld", (long)getpid());
    bool is_written = ftruncate(lock, 0) == 0 && write(lock, pid, (size_t)length) == length;
    if (is_written) return lock;
    (void)qb_error_set(error, "%s: cannot write: %s", path, strerror(errno));
    (void)close(lock);
    return -1;
}

void qb_folder_unlock(int lock)
{
    if (lock >= 0) (void)close(lock);
}
