/*
 * Leases of one key, and the commits that are fenced by them, with everything between them that can go wrong: signers that
 * stop and go on at any moment, ttls that pass, a cache that forgets or answers from an old copy, batches that are taken back
 * and handed out again, commits that are sent twice.
 *
 * What is one statement of Postgres is one step here; whatever lies between two of them may take any time.
 *
 *   spin -run docs/model/lease.pml                    no error: the promises hold
 *   spin -DUNFENCED -run docs/model/lease.pml         must fail: commits look at neither epoch nor lease
 *   spin -DEPOCHS_OF_REDIS -run docs/model/lease.pml  must fail: epochs are counted by a cache that loses its memory
 *   spin -DUNCOMPARED -run docs/model/lease.pml       must fail: commits do not look at the batch
 *
 * Docs: docs/guarantees.md, promises 2 and 4.
 */
#define SIGNERS 2
#define BATCHES 2
#define GRANTS 3
#define ATTEMPTS 2

/* What a commit compares. */
#ifdef UNCOMPARED
#define IS_MY_BATCH true
#else
#define IS_MY_BATCH (state[batch] == LEASED && attempt[batch] == myAttempt)
#endif
#if defined(UNFENCED)
#define IS_MY_LEASE true
#elif defined(EPOCHS_OF_REDIS)
#define IS_MY_LEASE (myEpoch == epoch)
#else
#define IS_MY_LEASE (myEpoch == epoch && myLease == lease)
#endif

/* The row of the key, in Postgres. */
byte epoch;         /* rises with every grant */
byte lease;         /* of the last grant; no two are the same */
bool isReleased = true;
bool hasExpired;    /* lease_until has passed */

/* What Redis believes. It may be wrong in every way. */
bool cachedFree = true;
byte cachedEpoch;

/* The rows of the batches. */
mtype = { PENDING, LEASED, SIGNED };
mtype state[BATCHES] = PENDING;
byte attempt[BATCHES];

/* What really happened, which nobody in the system sees. Leases are numbered in the order of their grants: `seen[l]` says how
 * many there were when lease l was last used by a commit that went through, 0 if it never was. */
byte leases;
byte seen[GRANTS + 1];
byte stored[BATCHES];

/* A commit under `mine` goes through. No two leases of the key that committed overlap: between the grant of one and its last
 * commit there is no grant of another that commits too. */
inline committed(mine) {
  d_step {
    seen[mine] = leases;
    other = 1;
    do
    :: other < mine -> assert(seen[other] < mine); other++
    :: other == mine -> other++
    :: other > mine && other <= leases -> assert(seen[other] == 0); other++
    :: other > leases -> break
    od;
    other = 0
  }
}

active [SIGNERS] proctype Signer() {
  byte batch, myAttempt, myEpoch, myLease, believed, other;
  bool granted;
again: skip;
  d_step { batch = 0; myAttempt = 0; myEpoch = 0; myLease = 0; believed = 0; granted = false };
  /* A coordinator hands a batch out. */
  if
  :: atomic { state[0] == PENDING && attempt[0] < ATTEMPTS -> batch = 0 ; state[0] = LEASED; attempt[0]++; myAttempt = attempt[0] }
  :: atomic { state[1] == PENDING && attempt[1] < ATTEMPTS -> batch = 1 ; state[1] = LEASED; attempt[1]++; myAttempt = attempt[1] }
  :: goto end
  fi;

  /* Acquire: Redis says that the key is free, and which epoch it saw. */
  do
  :: atomic { cachedFree -> cachedFree = false; believed = cachedEpoch };
#ifdef EPOCHS_OF_REDIS
     /* The cache counts epochs itself; the store only notes them. */
     atomic {
       if
       :: leases < GRANTS ->
          leases++; cachedEpoch++; myEpoch = cachedEpoch; myLease = leases;
          epoch = (myEpoch > epoch -> myEpoch : epoch); lease = leases; isReleased = false; hasExpired = false;
          granted = true
       :: else
       fi
     };
     break
#else
     /* The grant is durable, and compares. */
     atomic {
       if
       :: leases < GRANTS && epoch == believed && (isReleased || hasExpired) ->
          leases++; epoch++; lease = leases; isReleased = false; hasExpired = false;
          myEpoch = epoch; myLease = leases; cachedEpoch = epoch;
          granted = true
       :: else -> cachedEpoch = epoch; cachedFree = (isReleased || hasExpired)
       fi
     };
     break
#endif
  :: break
  od;
  if :: !granted -> goto again :: else fi;

  /* Signs, which may take any time, and sends the result, perhaps twice. */
  do
  :: atomic {
       if
       :: IS_MY_BATCH && IS_MY_LEASE ->
          state[batch] = SIGNED; stored[batch]++;
          assert(stored[batch] == 1);
          committed(myLease)
       :: else
       fi
     }
  :: break
  od;

  /* Release says which lease: a late one touches no other. */
  if
  :: atomic { if :: lease == myLease -> isReleased = true; cachedFree = true :: else fi }
  :: skip
  fi;
  goto again;
end:
  skip
}

/* Time passes. */
active proctype Expiry() {
  do
  :: atomic { !isReleased && !hasExpired && leases < GRANTS -> hasExpired = true }
  :: atomic { hasExpired && !cachedFree -> cachedFree = true }
  :: break
  od
}

/* Redis loses its memory and is filled again, or answers from a copy that is behind. */
active proctype Cache() {
  byte copy = cachedEpoch;
  do
  :: copy = cachedEpoch
  :: atomic { cachedEpoch = copy; cachedFree = true }
  :: break
  od
}

/* A coordinator takes batches back from signers that it does not hear. */
active proctype Reclaim() {
  do
  :: atomic { state[0] == LEASED -> state[0] = PENDING }
  :: atomic { state[1] == LEASED -> state[1] = PENDING }
  :: break
  od
}
