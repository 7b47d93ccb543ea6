/* The raw rate of C_Sign (CKM_ECDSA) of one token, with as little around it as there can be.
 *   sign MODULE TOKEN-LABEL SIGNATURES        the PIN comes in the variable PIN
 * Prints the signatures a second. The private key is the first one the token holds. */
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
    void *library = argc == 4 && pin ? dlopen(argv[1], RTLD_NOW) : NULL;
    if (!library) {
        fprintf(stderr, "usage: PIN=... sign MODULE TOKEN-LABEL SIGNATURES\n");
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
    attribute_t wanted[] = { { 0x000, &private_key, sizeof private_key }, { 0x001, &yes, 1 } };
    check("C_FindObjectsInit", CALL(26, (ulong_t, attribute_t *, ulong_t)) (session, wanted, 2));
    check("C_FindObjects", CALL(27, (ulong_t, ulong_t *, ulong_t, ulong_t *)) (session, &key, 1, &found));
    check("C_FindObjectsFinal", CALL(28, (ulong_t)) (session));

    mechanism_t ecdsa = { 0x1041, 0, 0 };
    unsigned char digest[32] = { 7 }, signature[64];
    long signatures = atol(argv[3]), done;
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (done = 0; done < signatures; done++) {
        ulong_t length = sizeof signature;
        memcpy(digest, &done, sizeof done);
        check("C_SignInit", CALL(42, (ulong_t, mechanism_t *, ulong_t)) (session, &ecdsa, key));
        check("C_Sign", CALL(43, (ulong_t, void *, ulong_t, void *, ulong_t *)) (session, digest, 32, signature, &length));
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%.1f\n", signatures / ((end.tv_sec - begin.tv_sec) + (end.tv_nsec - begin.tv_nsec) / 1e9));
    return 0;
}
