#include "tests/fuzz/fuzz.h"
#include "ws/forwarded.h"

/* Whatever a header holds: a client that is named is an address that somebody has, and it depends
 * neither on where the headers are parted nor on anything left of it. */

static struct qb_ip_ranges proxies;

static bool read_copy(struct qb_forwarded *forwarded, const char *bytes, size_t length)
{
    char *copy = copy_of(bytes, length);
    bool is_good = qb_forwarded_read(forwarded, &proxies, copy, length);

    free(copy);
    return is_good;
}

static void check_client(const struct qb_ip *client)
{
    char text[QB_IP_TEXT_BYTES];
    struct qb_ip again;

    QB_ASSERT(!qb_ip_is_unspecified(client));
    qb_ip_text(client, text);
    QB_ASSERT(qb_ip_parse(text, strlen(text), &again));
    QB_ASSERT(memcmp(&again, client, sizeof again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct qb_error error;
    const char *value = (const char *)bytes;
    struct qb_forwarded whole = {0};
    struct qb_forwarded parted = {0};
    struct qb_forwarded longer = {0};

    if (proxies.count == 0) {
        bool is_parsed = qb_ip_ranges_parse("10.0.0.0/8,fd00::/8,192.0.2.1", &proxies, &error);
        QB_ASSERT(is_parsed);
    }
    bool is_good = read_copy(&whole, value, length);
    if (is_good) check_client(&whole.client);
    QB_ASSERT(!is_good || (whole.has_client && whole.hops <= QB_FORWARDED_HOPS_MAX));
    QB_ASSERT(whole.is_found == !qb_ip_ranges_have(&proxies, &whole.client) || !is_good);

    const char *comma = memchr(bytes, ',', length);
    if (comma != NULL) {
        size_t left = (size_t)(comma - value);
        bool is_same =
            read_copy(&parted, comma + 1, length - left - 1) && read_copy(&parted, value, left);
        QB_ASSERT(is_same == is_good);
        QB_ASSERT(!is_good || memcmp(&parted.client, &whole.client, sizeof whole.client) == 0);
    }
    if (is_good && whole.is_found && whole.hops < QB_FORWARDED_HOPS_MAX) {
        char *forged = malloc(length + 8);
        QB_ASSERT(forged != NULL);
        (void)memcpy(forged, "1.1.1.1,", 8);
        if (length > 0) (void)memcpy(&forged[8], bytes, length);
        QB_ASSERT(qb_forwarded_read(&longer, &proxies, forged, length + 8));
        QB_ASSERT(memcmp(&longer.client, &whole.client, sizeof whole.client) == 0);
        free(forged);
    }

    /* The same bytes as the setting. */
    static struct qb_ip_ranges ranges;
    char *setting = malloc(length + 1);
    QB_ASSERT(setting != NULL);
    if (length > 0) (void)memcpy(setting, bytes, length);
    setting[length] = '\0';
    if (qb_ip_ranges_parse(setting, &ranges, &error)) {
        for (size_t i = 0; i < ranges.count; i++)
            QB_ASSERT(qb_ip_ranges_have(&ranges, &ranges.list[i].first));
    } else {
        QB_ASSERT(error.text[0] != '\0');
    }
    free(setting);
    return 0;
}
