#include "base/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

static int64_t read_us(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now); /* cannot fail for the clocks used here */
    return (int64_t)now.tv_sec * QB_SECOND_US + now.tv_nsec / 1000;
}

qb_time_us qb_clock_wall_us(void)
{
    return read_us(CLOCK_REALTIME);
}

int64_t qb_clock_mono_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

/* Without CLOCK_MONOTONIC's gap: a machine that slept was not there, but its auctions ended. */
static int64_t passed_us(void)
{
    return read_us(CLOCK_BOOTTIME);
}

qb_time_us qb_even_clock_read(struct qb_even_clock *clock, int64_t passed, qb_time_us wall_us)
{
    int64_t offset_us = atomic_load(&clock->offset_us);

    if (offset_us == 0 &&
        atomic_compare_exchange_strong(&clock->offset_us, &offset_us, wall_us - passed)) {
        offset_us = wall_us - passed;
    }
    return passed + offset_us;
}

int64_t qb_even_clock_steer(struct qb_even_clock *clock, int64_t passed, qb_time_us wall_us)
{
    int64_t ahead_us = wall_us - qb_even_clock_read(clock, passed, wall_us);
    int64_t by_us = ahead_us;

    if (by_us > QB_EVEN_STEER_US) by_us = QB_EVEN_STEER_US;
    if (by_us < -QB_EVEN_STEER_US) by_us = -QB_EVEN_STEER_US;
    (void)atomic_fetch_add(&clock->offset_us, by_us);
    return ahead_us;
}

static struct qb_even_clock even;

qb_time_us qb_clock_even_us(void)
{
    return qb_even_clock_read(&even, passed_us(), qb_clock_wall_us());
}

int64_t qb_clock_even_steer(void)
{
    return qb_even_clock_steer(&even, passed_us(), qb_clock_wall_us());
}

int64_t qb_clock_cpu_us(void)
{
    return read_us(CLOCK_PROCESS_CPUTIME_ID);
}

void qb_clock_sleep_us(int64_t us)
{
    struct timespec left = {.tv_sec = (time_t)(us / QB_SECOND_US),
                            .tv_nsec = (long)(us % QB_SECOND_US * 1000)};

    while (nanosleep(&left, &left) != 0) continue;
}

static void split(qb_time_us wall_us, struct tm *parts, int *ms)
{
    int64_t rest_us = wall_us % QB_SECOND_US;
    time_t seconds = (time_t)(wall_us / QB_SECOND_US);

    if (rest_us < 0) {
        rest_us += QB_SECOND_US;
        seconds--;
    }
    (void)gmtime_r(&seconds, parts);
    *ms = (int)(rest_us / QB_MS_US);
}

void qb_clock_text(qb_time_us wall_us, char *text)
{
    struct tm parts;
    int ms = 0;

    split(wall_us, &parts, &ms);
    (void)snprintf(text, QB_TIME_TEXT_BYTES, "%04d-%02u-%02uT%02u:%02u:%02u.%03uZ",
                   (parts.tm_year + 1900) % 10000, (unsigned)(parts.tm_mon + 1) % 100,
                   (unsigned)parts.tm_mday % 100, (unsigned)parts.tm_hour % 100,
                   (unsigned)parts.tm_min % 100, (unsigned)parts.tm_sec % 100, (unsigned)ms % 1000);
}

void qb_clock_http_date(qb_time_us wall_us, char *text)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm parts;
    int ms = 0;

    split(wall_us, &parts, &ms);
    (void)snprintf(text, QB_TIME_TEXT_BYTES, "%.3s, %02u %.3s %04d %02u:%02u:%02u GMT",
                   &days[(size_t)parts.tm_wday * 3], (unsigned)parts.tm_mday % 100,
                   &months[(size_t)parts.tm_mon * 3], (parts.tm_year + 1900) % 10000,
                   (unsigned)parts.tm_hour % 100, (unsigned)parts.tm_min % 100,
                   (unsigned)parts.tm_sec % 100);
}
