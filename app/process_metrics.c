#include "app/process_metrics.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/metrics.h"

void qb_process_measure(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    DIR *folder = opendir("/proc/self/fd");
    char line[64] = "";
    int64_t descriptors = -3; /* ".", ".." and the folder's own */

    if (file != NULL && fgets(line, sizeof line, file) != NULL) {
        char *rest = line;
        (void)strtoll(line, &rest, 10); /* the whole address space comes first */
        qb_metric_set(QB_METRIC_process_resident_bytes, NULL,
                      strtoll(rest, NULL, 10) * sysconf(_SC_PAGESIZE));
    }
    if (file != NULL) (void)fclose(file);
    qb_metric_set(QB_METRIC_process_cpu_us, NULL, qb_clock_cpu_us());
    if (folder == NULL) return;
    while (readdir(folder) != NULL) descriptors++;
    (void)closedir(folder);
    qb_metric_set(QB_METRIC_process_open_descriptors, NULL, descriptors);
}
