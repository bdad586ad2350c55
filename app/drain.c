#include "app/drain.h"

#include <pthread.h>
#include <signal.h>

static void ending_signals(sigset_t *signals)
{
    (void)sigemptyset(signals);
    (void)sigaddset(signals, SIGTERM);
    (void)sigaddset(signals, SIGINT);
}

void qb_drain_block_signals(void)
{
    sigset_t signals;

    ending_signals(&signals);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

int qb_drain_wait_signal(void)
{
    sigset_t signals;
    int signal = 0;

    ending_signals(&signals);
    while (sigwait(&signals, &signal) != 0) continue;
    return signal;
}
