/* The rate of what a MAC takes where the shared secret is known (GBCS 4.3.3): SHA-256 over counter, secret and OtherInfo,
 * then AES-128-GMAC over a message, in libcrypto with as little around it as there can be.
 *   mac OCTETS TIMES
 * Says `ready`, begins at a line, and prints the times a second, for messages of so many octets. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What of libcrypto we call, so that no header of its need be installed. */
extern unsigned char *SHA256(const unsigned char *data, size_t length, unsigned char *digest);
extern void *EVP_CIPHER_CTX_new(void);
extern int EVP_CIPHER_CTX_ctrl(void *context, int command, int number, void *pointer);
extern const void *EVP_aes_128_gcm(void);
extern int EVP_EncryptInit_ex(void *context, const void *cipher, void *engine, const unsigned char *key, const unsigned char *iv);
extern int EVP_EncryptUpdate(void *context, unsigned char *out, int *written, const unsigned char *in, int length);
extern int EVP_EncryptFinal_ex(void *context, unsigned char *out, int *written);
enum { GET_TAG = 0x10, MAC_OCTETS = 12, KDF_OCTETS = 4 + 32 + 33, MOST = 1 << 16 };

int main(int argc, char **argv)
{
    static unsigned char message[MOST], derived[KDF_OCTETS], digest[32], iv[12], out[16], mac[MAC_OCTETS];
    int octets = argc == 3 ? atoi(argv[1]) : 0, written, good = 1;
    long times = argc == 3 ? atol(argv[2]) : 0, done;
    if (octets < 1 || octets > MOST || times < 1) {
        fprintf(stderr, "usage: mac OCTETS TIMES\n");
        return 2;
    }
    void *context = EVP_CIPHER_CTX_new();
    struct timespec begin, end;
    good &= EVP_EncryptInit_ex(context, EVP_aes_128_gcm(), NULL, NULL, NULL);
    puts("ready");
    fflush(stdout);
    if (getchar() == EOF)
        return 1;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (done = 0; done < times && good; done++) {
        memcpy(derived + KDF_OCTETS - 16, &done, sizeof done);
        SHA256(derived, sizeof derived, digest);
        good &= EVP_EncryptInit_ex(context, NULL, NULL, digest, iv);
        good &= EVP_EncryptUpdate(context, NULL, &written, message, octets);
        good &= EVP_EncryptFinal_ex(context, out, &written);
        good &= EVP_CIPHER_CTX_ctrl(context, GET_TAG, MAC_OCTETS, mac);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    if (!good) {
        fprintf(stderr, "libcrypto refused\n");
        return 1;
    }
    printf("%.1f\n", times / ((end.tv_sec - begin.tv_sec) + (end.tv_nsec - begin.tv_nsec) / 1e9));
    return 0;
}
