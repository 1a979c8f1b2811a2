/* What happens to a Child SA that both ends rekey or delete at once (RFC 7296 2.8.1, 2.25.1), as Culvert answers it: every order in
 * which requests and responses can arrive, every choice of the two ends, and either exchange having the lowest nonce.
 *
 * Two ends with a window of one. Loss and repetition are left out: a request is repeated until it is answered, and a repeated one does
 * nothing but bring the same response again (RFC 7296 2.1), so that to this model they are delay. Pairs: OLD, and what the rekey of
 * each end makes.
 *
 * With ANSWER_ALWAYS or FORGET_THE_NONCES defined one end leaves a rule out, and the model must be found wanting.
 *
 * Shown: no order leaves the ends waiting; traffic never goes by a pair that the other end does not have; in the end both have the
 * same pairs, one of them at most, and just one where nobody wanted it deleted.
 */

#define OLD 0
#define MADE_BY(end) (1 + (end))
#define NONE 9
#define HAS(end, pair) has[(end) * 3 + (pair)]

mtype = { idle, rekey, remove, made, temporary_failure, not_found, removed };

chan request[2] = [1] of { mtype, byte };  /* to this end */
chan response[2] = [1] of { mtype };

bool has[6];
byte outbound[2] = OLD;
byte lowest_nonce;        /* whose exchange has it: that one loses (2.8.1) */
bool wants_none;          /* an end has deleted the pair, and not for a rekey's sake */
bool still[2];            /* has nothing to say */

/* Traffic goes by what the other end can open. */
#define CHECK_TRAFFIC \
  assert(outbound[0] == NONE || HAS(1, outbound[0])); \
  assert(outbound[1] == NONE || HAS(0, outbound[1]))

inline drop(end, pair) {
  HAS(end, pair) = false;
  if
  :: outbound[end] == pair ->
     if
     :: HAS(end, MADE_BY(1 - end)) -> outbound[end] = MADE_BY(1 - end)
     :: else ->
        if
        :: HAS(end, MADE_BY(end)) -> outbound[end] = MADE_BY(end)
        :: else -> outbound[end] = NONE
        fi
     fi
  :: else
  fi
}

proctype End(byte me) {
  mtype doing = idle;
  mtype what;
  byte about;
  byte pair;
  bool begun;      /* has had its own wish */
  bool replaced;   /* OLD has a successor here */
  bool collided;   /* answered the other end's rekey while its own was under way */
  bool to_delete[3];

  do
  /* A wish of its own, or none: a rekey, or a delete for good. */
  :: atomic { doing == idle && !begun && HAS(me, OLD) && !replaced ->
       begun = true;
       if
       :: doing = rekey; about = OLD; request[1 - me] ! rekey, OLD
       :: doing = remove; about = OLD; wants_none = true; outbound[me] = NONE; request[1 - me] ! remove, OLD
       :: skip
       fi }
  /* What a rekey leaves to be deleted. */
  :: atomic { doing == idle && to_delete[OLD] && HAS(me, OLD) ->
       doing = remove; about = OLD; request[1 - me] ! remove, OLD }
  :: atomic { doing == idle && to_delete[MADE_BY(me)] && HAS(me, MADE_BY(me)) ->
       doing = remove; about = MADE_BY(me); request[1 - me] ! remove, MADE_BY(me) }

  :: atomic { request[me] ? rekey, pair ->
       if
       :: !HAS(me, OLD) -> response[1 - me] ! not_found
       /* 2.25.1: not what is being deleted, be it for its successor's sake. */
#ifndef ANSWER_ALWAYS
       :: HAS(me, OLD) && (replaced || to_delete[OLD] || (doing == remove && about == OLD)) ->
          response[1 - me] ! temporary_failure
#endif
       :: else ->
          HAS(me, MADE_BY(1 - me)) = true;
          replaced = true;
          if
          :: doing == rekey -> collided = true
          :: else
          fi;
          response[1 - me] ! made
       fi;
       CHECK_TRAFFIC }

  :: atomic { request[me] ? remove, pair ->
       drop(me, pair);
       response[1 - me] ! removed }

  :: atomic { response[me] ? what ->
       if
       :: doing == rekey && what == made ->
          HAS(me, MADE_BY(me)) = true;
          replaced = true;
          if
#ifndef FORGET_THE_NONCES
          :: collided && lowest_nonce == me ->
             /* 2.8.1: the one with the lowest nonce is deleted by who made it; the other end deletes OLD. */
             to_delete[MADE_BY(me)] = true
#endif
          :: else ->
             to_delete[OLD] = true;
             if
             :: outbound[me] != NONE || !HAS(me, OLD) -> outbound[me] = MADE_BY(me)
             :: else
             fi
          fi
       :: doing == remove -> drop(me, about)
       :: else /* refused: what the other end has begun goes on */
       fi;
       doing = idle;
       CHECK_TRAFFIC }

  :: atomic { doing == idle && begun && !(to_delete[OLD] && HAS(me, OLD)) &&
              !(to_delete[MADE_BY(me)] && HAS(me, MADE_BY(me))) && empty(request[me]) && still[1 - me] &&
              empty(request[1 - me]) -> still[me] = true; break }
  :: atomic { doing == idle && (begun || replaced || !HAS(me, OLD)) && !(to_delete[OLD] && HAS(me, OLD)) &&
              !(to_delete[MADE_BY(me)] && HAS(me, MADE_BY(me))) && empty(request[me]) && !still[me] ->
       still[me] = true }
  :: atomic { still[me] && (nempty(request[me])) -> still[me] = false }
  :: atomic { still[me] && still[1 - me] && empty(request[me]) && empty(request[1 - me]) -> break }
  od
}

init {
  atomic {
    HAS(0, OLD) = true;
    HAS(1, OLD) = true;
    if
    :: lowest_nonce = 0
    :: lowest_nonce = 1
    fi;
    run End(0);
    run End(1)
  }
  (_nr_pr == 1);
  assert(HAS(0, OLD) == HAS(1, OLD) && HAS(0, 1) == HAS(1, 1) && HAS(0, 2) == HAS(1, 2));
  assert(HAS(0, OLD) + HAS(0, 1) + HAS(0, 2) <= 1);
  assert(wants_none || HAS(0, OLD) + HAS(0, 1) + HAS(0, 2) == 1)
}
