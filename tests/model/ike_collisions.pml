/* What happens to an IKE SA that both ends rekey or delete at once, while Child SAs are made on it (RFC 7296 2.8.2, 2.25.1, 2.25.2), as
 * Culvert answers it: every order in which requests and responses can arrive, on the old IKE SA and on those that the rekeys make; every
 * choice of the two ends; and either exchange having the lowest nonce.
 *
 * Each IKE SA has a window of one in either direction. Loss and repetition are left out: a request is repeated until it is answered, and
 * a repeated one does nothing but bring the same response again (RFC 7296 2.1), so that to this model they are delay. IKE SAs: OLD, and
 * what the rekey of each end makes. The Child SAs are what one IKE SA at a time has, and one more that either end may add.
 *
 * With one of the names in the test's list defined the ends leave a rule out, and the model must be found wanting.
 *
 * Shown: no order leaves an end waiting, or with an IKE SA that the other has not; both have the Child SAs on the same one, and the same
 * Child SAs; and where nobody wanted them gone, they are there.
 */

#define OLD 0
#define MADE_BY(end) (1 + (end))
#define NONE 9
#define AT(end, sa) ((end) * 3 + (sa))

mtype = { unknown, established, candidate, rekeyed, closing, gone };
mtype = { idle, rekey, create, remove, made, created, temporary_failure, removed };

chan request[6] = [1] of { mtype };   /* to this end, on this IKE SA */
chan response[6] = [1] of { mtype };

mtype phase[6] = unknown;
mtype doing[6] = idle;
bool to_delete[6];
byte holder[2] = OLD;     /* the IKE SA that has the Child SAs */
bool more[2];             /* one Child SA more than at the beginning */
byte lowest_nonce;        /* whose exchange has it: the IKE SA of that one goes (2.8.2) */
bool wants_none;          /* an end has closed the tunnel, and not for a rekey's sake */

#define THEIRS phase[AT(me, MADE_BY(1 - me))]
#define MINE phase[AT(me, MADE_BY(me))]

/* The one made by this end's rekey takes over from OLD. */
inline promote(by) {
  phase[AT(me, MADE_BY(by))] = established;
  phase[AT(me, OLD)] = rekeyed;
  to_delete[AT(me, OLD)] = false;
  if
  :: holder[me] == OLD -> holder[me] = MADE_BY(by)
  :: else
  fi
}

inline delete_unannounced(sa) {
  phase[AT(me, sa)] = closing;
  to_delete[AT(me, sa)] = true
}

/* It ends here, without a word. */
inline end_it(sa) {
  phase[AT(me, sa)] = gone;
  doing[AT(me, sa)] = idle;
  to_delete[AT(me, sa)] = false;
  if
  :: holder[me] == sa -> holder[me] = NONE
  :: else
  fi
}

/* The user wants no tunnel any more. */
inline close_for_good(sa) {
  wants_none = true;
  if
  :: holder[me] == sa -> holder[me] = NONE
  :: else
  fi;
  if
  :: sa == OLD && THEIRS == candidate -> delete_unannounced(MADE_BY(1 - me))
  :: else
  fi;
  delete_unannounced(sa)
}

inline answer_rekey() {
  if
#ifdef REKEY_WHAT_IS_CLOSED
  :: phase[AT(me, OLD)] == closing && doing[AT(me, OLD)] == remove && THEIRS == unknown ->
     THEIRS = established;
     response[AT(1 - me, OLD)] ! made
#else
  /* 2.25.2: being closed, or rekeyed already. */
  :: phase[AT(me, OLD)] != established || THEIRS == candidate -> response[AT(1 - me, OLD)] ! temporary_failure
#endif
#ifndef REKEY_BESIDE_A_CHILD
  /* 2.25.1: not while a Child SA is made. */
  :: phase[AT(me, OLD)] == established && THEIRS != candidate && doing[AT(me, OLD)] == create ->
     response[AT(1 - me, OLD)] ! temporary_failure
#endif
#ifndef TAKE_OVER_AT_ONCE
  /* 2.8.2: which of the two inherits is known when our own request is answered. */
  :: phase[AT(me, OLD)] == established && THEIRS != candidate && doing[AT(me, OLD)] == rekey ->
     THEIRS = candidate;
     collided = true;
     response[AT(1 - me, OLD)] ! made
#endif
  :: else -> promote(1 - me); response[AT(1 - me, OLD)] ! made
  fi
}

inline answer_create(sa) {
  /* 2.25.2: not while the IKE SA itself is rekeyed or closed. */
  if
  :: phase[AT(me, sa)] != established || doing[AT(me, sa)] == rekey || doing[AT(me, sa)] == remove ->
     response[AT(1 - me, sa)] ! temporary_failure
  :: else -> more[me] = true; response[AT(1 - me, sa)] ! created
  fi
}

inline answer_remove(sa) {
  /* 2.8.2: the peer has finished its rekey without having seen ours. */
  if
#ifndef FORGET_THE_CANDIDATE
  :: sa == OLD && THEIRS == candidate -> promote(1 - me)
#endif
  :: else
  fi;
#ifndef FORGET_WHO_WON
  if
  :: sa == MADE_BY(1 - me) && THEIRS == candidate -> their_one_closed = true
  :: else
  fi;
#endif
  end_it(sa);
  response[AT(1 - me, sa)] ! removed
}

/* Our rekey was answered: there is one of ours. */
inline settle() {
  if
  :: phase[AT(me, OLD)] == closing -> delete_unannounced(MADE_BY(me))
  /* The peer has shown already that its one stays. */
  :: phase[AT(me, OLD)] == rekeyed -> delete_unannounced(MADE_BY(me))
#ifndef FORGET_THE_NONCES
  :: phase[AT(me, OLD)] == established && collided && lowest_nonce == me && THEIRS == candidate ->
     delete_unannounced(MADE_BY(me));
     promote(1 - me)
#endif
  /* The peer's one was to stay, and the peer has closed it since. */
  :: phase[AT(me, OLD)] == established && collided && lowest_nonce == me && their_one_closed ->
     delete_unannounced(MADE_BY(me));
     delete_unannounced(OLD);
     holder[me] = NONE
  :: else ->
     if
     :: THEIRS == candidate -> THEIRS = closing /* the peer deletes it; until then it is only answered on */
     :: else
     fi;
     promote(me);
     to_delete[AT(me, OLD)] = true
  fi
}

proctype End(byte me) {
  mtype what;
  byte sa;
  byte rekeys;
  bool closed;
  bool added;
  bool collided;          /* answered the other end's rekey while our own was under way */
  bool their_one_closed;  /* and the other end has deleted what that made */

end:
  do
  /* Wishes, each of which comes at any time or never. A rekey that was refused may be tried once more. */
  :: atomic { rekeys < 2 -> rekeys++;
       if
       :: phase[AT(me, OLD)] == established && doing[AT(me, OLD)] == idle && !to_delete[AT(me, OLD)] && THEIRS != candidate ->
          doing[AT(me, OLD)] = rekey; request[AT(1 - me, OLD)] ! rekey
       :: true
       fi }
  :: atomic { !closed -> closed = true;
       if
       :: phase[AT(me, OLD)] == established -> close_for_good(OLD)
       :: MINE == established -> close_for_good(MADE_BY(me))
       :: THEIRS == established -> close_for_good(MADE_BY(1 - me))
       :: true
       fi }
  :: atomic { !added -> added = true;
       if
       :: holder[me] != NONE && !more[me] && doing[AT(me, holder[me])] == idle && phase[AT(me, holder[me])] == established ->
          doing[AT(me, holder[me])] = create; request[AT(1 - me, holder[me])] ! create
       :: true
       fi }

  :: atomic { to_delete[AT(me, 0)] && doing[AT(me, 0)] == idle -> to_delete[AT(me, 0)] = false; doing[AT(me, 0)] = remove; request[AT(1 - me, 0)] ! remove }
  :: atomic { to_delete[AT(me, 1)] && doing[AT(me, 1)] == idle -> to_delete[AT(me, 1)] = false; doing[AT(me, 1)] = remove; request[AT(1 - me, 1)] ! remove }
  :: atomic { to_delete[AT(me, 2)] && doing[AT(me, 2)] == idle -> to_delete[AT(me, 2)] = false; doing[AT(me, 2)] = remove; request[AT(1 - me, 2)] ! remove }

  /* A request, on an IKE SA that is there by now. */
  :: atomic {
       if
       :: phase[AT(me, 0)] != unknown && nempty(request[AT(me, 0)]) -> sa = 0
       :: phase[AT(me, 1)] != unknown && nempty(request[AT(me, 1)]) -> sa = 1
       :: phase[AT(me, 2)] != unknown && nempty(request[AT(me, 2)]) -> sa = 2
       fi;
       request[AT(me, sa)] ? what;
       if
       :: phase[AT(me, sa)] == gone -> skip
       :: else ->
          /* The peer works with what its rekey made: that one stays. */
          if
          :: sa == MADE_BY(1 - me) && THEIRS == candidate && what != remove -> promote(1 - me)
#ifdef SETTLE_BY_DELETE
          :: sa == MADE_BY(1 - me) && THEIRS == candidate && what == remove -> promote(1 - me)
#endif
          :: else
          fi;
          if
          :: what == rekey -> answer_rekey()
          :: what == create -> answer_create(sa)
          :: what == remove -> answer_remove(sa)
          fi
       fi }

  :: atomic {
       if
       :: nempty(response[AT(me, 0)]) -> sa = 0
       :: nempty(response[AT(me, 1)]) -> sa = 1
       :: nempty(response[AT(me, 2)]) -> sa = 2
       fi;
       response[AT(me, sa)] ? what;
       if
       :: phase[AT(me, sa)] == gone -> skip /* forgotten with it */
       :: else ->
          if
          :: what == made -> doing[AT(me, sa)] = idle; settle()
          :: what == created ->
             doing[AT(me, sa)] = idle;
             if
             :: phase[AT(me, sa)] == established -> more[me] = true
             :: else
             fi
          :: what == removed -> end_it(sa)
          :: what == temporary_failure && doing[AT(me, sa)] == rekey ->
             doing[AT(me, sa)] = idle;
             if
             /* 2.8.2: only we have noticed, and the peer's rekey is done. */
             :: phase[AT(me, OLD)] == established && THEIRS == candidate -> promote(1 - me)
             :: else
             fi
          :: else -> doing[AT(me, sa)] = idle
          fi
       fi }
  od
}

init {
  atomic {
    phase[AT(0, OLD)] = established;
    phase[AT(1, OLD)] = established;
    if
    :: lowest_nonce = 0
    :: lowest_nonce = 1
    fi;
    run End(0);
    run End(1)
  }
  /* Nothing is under way, and nobody wants anything any more. */
  timeout;
  byte sa;
  for (sa : 0 .. 2) {
    /* One that is closing ends by itself soon where the peer has forgotten the rekey that made it, and never answers there. */
    assert(doing[AT(0, sa)] == idle || (phase[AT(0, sa)] == closing && phase[AT(1, sa)] != established));
    assert(doing[AT(1, sa)] == idle || (phase[AT(1, sa)] == closing && phase[AT(0, sa)] != established));
    assert((phase[AT(0, sa)] == established) == (phase[AT(1, sa)] == established))
  }
  assert(holder[0] == holder[1]);
  assert(holder[0] == NONE || phase[holder[0]] == established);
  assert(holder[0] == NONE || more[0] == more[1]);
  assert((phase[0] == established) + (phase[1] == established) + (phase[2] == established) <= 1);
  assert(wants_none || holder[0] != NONE)
}
