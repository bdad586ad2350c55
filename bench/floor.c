/*
 * The bare limit: an epoll server that answers a handshake with fixed bytes and, for each frame
 * from any client, sends one prebuilt frame to every connection with one send() each. It parses
 * nothing, keeps nothing, and so costs what the kernel costs.
 *
 * floor PORT FRAME_BYTES
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define FDS_MAX 20000

static bool is_client[FDS_MAX];
static bool is_greeted[FDS_MAX];
static uint8_t frame[65536];

static int listening(uint16_t port)
{
    static const int on = 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)(void *)&at, sizeof at) != 0 || listen(fd, 4096) != 0) {
        perror("floor: listen");
        exit(1);
    }
    return fd;
}

static void take_in(int epoll, int listener)
{
    static const int on = 1;

    for (;;) {
        struct epoll_event event = {.events = EPOLLIN};
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (fd < 0 || fd >= FDS_MAX) return;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        event.data.fd = fd;
        (void)epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
        is_client[fd] = true;
        is_greeted[fd] = false;
    }
}

static void send_all(size_t length)
{
    for (int fd = 0; fd < FDS_MAX; fd++) {
        if (is_client[fd] && is_greeted[fd]) (void)send(fd, frame, length, MSG_NOSIGNAL);
    }
}

int main(int argument_count, char **arguments)
{
    static const char hello[] = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
    struct epoll_event events[512];
    static uint8_t bytes[65536];

    if (argument_count < 3) return 2;
    size_t payload = (size_t)strtoul(arguments[2], NULL, 10);
    size_t head = payload < 126 ? 2 : 4;
    frame[0] = 0x81;
    frame[1] = (uint8_t)(payload < 126 ? payload : 126);
    frame[2] = (uint8_t)(payload >> 8);
    frame[3] = (uint8_t)payload;
    (void)memset(&frame[head], 'x', payload);
    int listener = listening((uint16_t)strtoul(arguments[1], NULL, 10));
    int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    (void)epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(epoll, events, 512, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                take_in(epoll, listener);
                continue;
            }
            ssize_t length = recv(fd, bytes, sizeof bytes, 0);
            if (length <= 0) {
                is_client[fd] = false;
                (void)close(fd);
            } else if (!is_greeted[fd]) {
                is_greeted[fd] = true;
                (void)send(fd, hello, sizeof hello - 1, MSG_NOSIGNAL);
            } else {
                send_all(head + payload);
            }
        }
    }
}
