/*
 * What the kernel knows of this process, for /metrics.
 */
#pragma once

/* Sets the metrics of the process from /proc: when somebody looks. Any thread. */
void qb_process_measure(void);
