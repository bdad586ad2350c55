/*
 * One process for one data folder, until it ends, however it ends.
 */
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/folder_lock.h"
#include "tests/kit/database.h"
#include "tests/kit/test.h"

/* A process that holds the folder until it is killed; returns once it does. */
static pid_t hold(void)
{
    int ends[2];
    char is_locked = 0;

    qb_must(pipe(ends) == 0, "no pipe");
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct qb_error error = {""};
        is_locked = qb_folder_lock(qb_test_folder, &error) >= 0;
        if (write(ends[1], &is_locked, 1) != 1) _exit(1);
        while (true) (void)pause();
    }
    (void)close(ends[1]);
    QB_EXPECT(read(ends[0], &is_locked, 1) == 1 && is_locked == 1, "the child has it");
    (void)close(ends[0]);
    return child;
}

QB_TEST(a_second_process_is_refused_and_told_who_has_it)
{
    struct qb_error error = {""};
    char pid[32];

    qb_test_folder_new();
    pid_t child = hold();
    (void)snprintf(pid, sizeof pid, "(pid %ld)", (long)child);
    QB_EXPECT_EQ(qb_folder_lock(qb_test_folder, &error), -1, "refused");
    QB_EXPECT(strstr(error.text, pid) != NULL, error.text);
    QB_EXPECT(strstr(error.text, qb_test_folder) != NULL, error.text);
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    int lock = qb_folder_lock(qb_test_folder, &error);
    QB_EXPECT(lock >= 0, "free when that process was killed");
    qb_folder_unlock(lock);
    qb_test_folder_remove();
}

QB_TEST(another_descriptor_of_the_lock_file_does_not_free_it)
{
    struct qb_error error = {""};

    qb_test_folder_new();
    int lock = qb_folder_lock(qb_test_folder, &error);
    QB_EXPECT(lock >= 0, error.text);
    QB_EXPECT_EQ(qb_folder_lock(qb_test_folder, &error), -1, "twice in one process");
    QB_EXPECT_EQ(qb_folder_lock(qb_test_folder, &error), -1, "and that freed nothing");
    qb_folder_unlock(lock);
    lock = qb_folder_lock(qb_test_folder, &error);
    QB_EXPECT(lock >= 0, "given back");
    qb_folder_unlock(lock);
    qb_folder_unlock(-1);
    qb_test_folder_remove();
}

QB_TEST(the_folder_is_made_for_its_owner_alone)
{
    struct qb_error error = {""};
    struct stat status;

    qb_test_folder_new();
    (void)rmdir(qb_test_folder);
    int lock = qb_folder_lock(qb_test_folder, &error);
    QB_EXPECT(lock >= 0, error.text);
    QB_EXPECT(stat(qb_test_folder, &status) == 0, "made");
    QB_EXPECT_EQ(status.st_mode & 0777, 0700, "nobody else's");
    qb_folder_unlock(lock);
    qb_test_folder_remove();
}

QB_TEST(a_folder_that_cannot_be_made_is_told)
{
    struct qb_error error = {""};

    QB_EXPECT_EQ(qb_folder_lock("/proc/nowhere/at/all", &error), -1, "no folder");
    QB_EXPECT(strstr(error.text, "cannot make the data folder") != NULL, error.text);
}

QB_TEST(a_lock_file_that_is_a_link_is_not_followed)
{
    struct qb_error error = {""};
    char path[128];

    qb_test_folder_new();
    (void)snprintf(path, sizeof path, "%s/quickbid.lock", qb_test_folder);
    QB_EXPECT_EQ(symlink("/tmp/qb-test-target", path), 0, "a link");
    QB_EXPECT_EQ(qb_folder_lock(qb_test_folder, &error), -1, "refused");
    QB_EXPECT(access("/tmp/qb-test-target", F_OK) != 0, "nothing was made where it points");
    qb_test_folder_remove();
}
