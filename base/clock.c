#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t read_us(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now); /* cannot fail for the three clocks used here */
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
