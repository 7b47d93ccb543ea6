/* The raw rate of C_Sign (CKM_ECDSA), or of agreeing (CKM_ECDH1_DERIVE, the value read, the secret destroyed), of one
 * token, with as little around it as there can be.
 *   sign MODULE TOKEN-LABEL TIMES [agree]     the PIN comes in the variable PIN
 * Says `ready` when it is logged in, begins at a line, and prints the times a second. The private key is the first in
 * the token that signs, or agrees. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef unsigned long ulong_t;
typedef struct { ulong_t mechanism; void *parameter; ulong_t length; } mechanism_t;
typedef struct { ulong_t type; void *value; ulong_t length; } attribute_t;
typedef struct { void *create, *destroy, *lock, *unlock; ulong_t flags; void *reserved; } arguments_t;
typedef struct { unsigned char version[2]; void *call[68]; } functions_t;

#define CALL(place, types) ((ulong_t (*) types) functions->call[place])

/* A peer: the point of device A in GBCS 18.4. Not the generator, with which libraries are faster. */
static const unsigned char point[65] = {
    0x04, 0x2d, 0xb4, 0x5a, 0x3f, 0x21, 0x88, 0x94, 0x38, 0xb4, 0x2c, 0x8f, 0x46, 0x4c, 0x75, 0x29, 0x2b, 0xac, 0xf5, 0xfd,
    0xdb, 0x5d, 0xa0, 0xb4, 0x92, 0x50, 0x1b, 0x29, 0x9c, 0xbf, 0xe9, 0x2d, 0x8f, 0xdb, 0x90, 0xfc, 0x8f, 0xf4, 0x02, 0x61,
    0x29, 0x83, 0x8b, 0x1b, 0xca, 0xd1, 0x40, 0x2c, 0xae, 0x47, 0xfe, 0x7d, 0x80, 0x84, 0xe4, 0x09, 0xa4, 0x1a, 0xfc, 0xe1,
    0x6d, 0x63, 0x57, 0x9c, 0x5f };

static void check(const char *what, ulong_t code)
{
    if (code != 0) {
        fprintf(stderr, "%s: 0x%lx\n", what, code);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    functions_t *functions;
    ulong_t slots[256], slot_count = 256, session = 0, key = 0, found = 0, i;
    char label[33], info[512];
    const char *pin = getenv("PIN");
    int agree = argc == 5 && strcmp(argv[4], "agree") == 0;
    void *library = (argc == 4 || agree) && pin ? dlopen(argv[1], RTLD_NOW) : NULL;
    if (!library) {
        fprintf(stderr, "usage: PIN=... sign MODULE TOKEN-LABEL TIMES [agree]\n");
        return 2;
    }
    ulong_t (*get)(functions_t **) = (ulong_t (*)(functions_t **)) dlsym(library, "C_GetFunctionList");
    check("C_GetFunctionList", get(&functions));
    arguments_t arguments = { .flags = 2 };
    check("C_Initialize", CALL(0, (void *)) (&arguments));
    check("C_GetSlotList", CALL(4, (unsigned char, ulong_t *, ulong_t *)) (1, slots, &slot_count));
    snprintf(label, sizeof label, "%-32s", argv[2]);
    for (i = 0; i < slot_count && !session; i++) {
        check("C_GetTokenInfo", CALL(6, (ulong_t, void *)) (slots[i], info));
        if (memcmp(info, label, 32) == 0)
            check("C_OpenSession", CALL(12, (ulong_t, ulong_t, void *, void *, ulong_t *)) (slots[i], 4, 0, 0, &session));
    }
    check("C_Login", CALL(18, (ulong_t, ulong_t, const char *, ulong_t)) (session, 1, pin, strlen(pin)));
    ulong_t private_key = 3;
    unsigned char yes = 1;
    attribute_t wanted[] = { { 0x000, &private_key, sizeof private_key }, { 0x001, &yes, 1 }, { agree ? 0x10C : 0x108, &yes, 1 } };
    check("C_FindObjectsInit", CALL(26, (ulong_t, attribute_t *, ulong_t)) (session, wanted, 3));
    check("C_FindObjects", CALL(27, (ulong_t, ulong_t *, ulong_t, ulong_t *)) (session, &key, 1, &found));
    check("C_FindObjectsFinal", CALL(28, (ulong_t)) (session));

    mechanism_t ecdsa = { 0x1041, 0, 0 };
    unsigned char digest[32] = { 7 }, result[64];
    struct { ulong_t kdf, shared_length; void *shared; ulong_t public_length; const void *public; } peer
        = { 1, 0, 0, sizeof point, point };
    mechanism_t ecdh = { 0x1050, &peer, sizeof peer };
    ulong_t secret_key = 4, generic = 0x10, length = 32;
    unsigned char no = 0;
    attribute_t secret[] = { { 0x000, &secret_key, sizeof secret_key }, { 0x100, &generic, sizeof generic },
                             { 0x161, &length, sizeof length }, { 0x001, &no, 1 }, { 0x103, &no, 1 }, { 0x162, &yes, 1 } };
    long times = atol(argv[3]), done;
    struct timespec begin, end;
    puts("ready");
    fflush(stdout);
    if (getchar() == EOF)
        return 1;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (done = 0; done < times; done++) {
        if (agree) {
            ulong_t made;
            attribute_t value = { 0x011, result, 32 };
            check("C_DeriveKey", CALL(62, (ulong_t, mechanism_t *, ulong_t, attribute_t *, ulong_t, ulong_t *))
                  (session, &ecdh, key, secret, 6, &made));
            check("C_GetAttributeValue", CALL(24, (ulong_t, ulong_t, attribute_t *, ulong_t)) (session, made, &value, 1));
            check("C_DestroyObject", CALL(22, (ulong_t, ulong_t)) (session, made));
            continue;
        }
        length = sizeof result;
        memcpy(digest, &done, sizeof done);
        check("C_SignInit", CALL(42, (ulong_t, mechanism_t *, ulong_t)) (session, &ecdsa, key));
        check("C_Sign", CALL(43, (ulong_t, void *, ulong_t, void *, ulong_t *)) (session, digest, 32, result, &length));
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%.1f\n", times / ((end.tv_sec - begin.tv_sec) + (end.tv_nsec - begin.tv_nsec) / 1e9));
    return 0;
}
