"""Locks that become one, and that a forked child can take."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from fastconv._core import locks
from fastconv._core.locks import Group, Locked, join


def held_elsewhere(group):
    """Whether another thread finds the lock taken."""
    with ThreadPoolExecutor(1) as pool:

        def look():
            free = group.root().lock.acquire(blocking=False)
            if free:
                group.root().lock.release()
            return not free

        return pool.submit(look).result(20)


def test_groups_that_join_are_one():
    groups = [Group() for _ in range(4)]
    join(groups[:2])
    join(groups[2:])
    join([groups[1], groups[3]])
    join(groups)  # again
    assert len({group.root() for group in groups}) == 1
    held = groups[0].acquire()
    assert all(map(held_elsewhere, groups))
    again = groups[3].acquire()  # by the same thread
    again.release()
    assert held_elsewhere(groups[3])
    held.release()
    assert not any(map(held_elsewhere, groups))


def test_joining_waits_for_whoever_holds_one():
    first, second = Group(), Group()
    held, order = second.acquire(), []

    def work():
        join([first, second])
        order.append("joined")

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.05)
    assert first.root() is not second.root()
    assert not held_elsewhere(first)  # nothing in hand while it waits
    order.append("released")
    held.release()
    thread.join(20)
    assert order == ["released", "joined"] and first.root() is second.root()


def test_a_group_that_this_thread_holds_stays_held_when_others_join_it():
    groups = [Group() for _ in range(3)]
    held = groups[1].acquire()
    join(groups)
    assert all(map(held_elsewhere, groups))
    held.release()
    assert not any(map(held_elsewhere, groups))


def test_many_threads_join_and_take_groups_at_once():
    groups, counts = [Group() for _ in range(6)], [0]

    def work(number):
        for step in range(200):
            held = groups[(number + step) % 6].acquire()
            held.release()
            join([groups[number % 6], groups[(number + 1) % 6]])
            held = groups[(number * step) % 6].acquire()
            if held is groups[number % 6].root():
                counts[0] += 1
            held.release()

    with ThreadPoolExecutor(6) as pool:
        for future in [pool.submit(work, number) for number in range(6)]:
            future.result(60)
    assert len({group.root() for group in groups}) == 1 and counts[0] > 0


@pytest.fixture
def group_with_one_waiting():
    """A group that this thread holds, and for which another has waited for long."""
    group, got = Group(), []
    held = group.acquire()

    def wait():
        waited_for = group.acquire()
        got.append("the other")
        waited_for.release()

    thread = threading.Thread(target=wait)
    thread.start()
    while not group._doorway.locked():
        time.sleep(0.001)
    yield group, held, got
    thread.join(20)


def test_who_has_waited_for_long_is_not_overtaken_by_who_gives_back_and_takes_again(
    group_with_one_waiting,
):
    group, held, got = group_with_one_waiting
    held.release()
    held = group.acquire()
    assert got == ["the other"]
    held.release()


def test_who_holds_a_group_may_take_it_again_while_others_wait(group_with_one_waiting):
    group, held, got = group_with_one_waiting
    again = group.acquire()
    again.release()
    assert not got
    held.release()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_has_nobody_waiting(group_with_one_waiting):
    group, held, _ = group_with_one_waiting
    child = os.fork()
    if child == 0:
        code = 1
        try:
            held.release()
            with ThreadPoolExecutor(1) as pool:
                taken = pool.submit(lambda: group.acquire().release())
                code = 0 if taken.result(20) is None else 2
        finally:
            os._exit(code)
    held.release()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_can_take_what_others_held_and_keeps_what_it_held():
    other, mine, free = Group(), Group(), Locked()
    join([other, inside := Group()])
    ready, done = threading.Event(), threading.Event()

    def hold():
        held = other.acquire()
        ready.set()
        done.wait(60)
        held.release()

    thread = threading.Thread(target=hold)
    thread.start()
    ready.wait(20)
    held = mine.acquire()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            held_then = (other.root(), inside.root(), free)
            with ThreadPoolExecutor(1) as pool:  # what is free must be so to all threads
                freed = pool.submit(lambda: free.lock.acquire(timeout=10) and free.lock.release())
                taken = freed.result(20) is None
            taken &= all(locked.lock.acquire(timeout=10) for locked in held_then)
            held.release()
            code = 0 if taken and mine._depth == 0 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    done.set()
    thread.join(20)
    held.release()


def test_held_holds_for_a_while_and_gives_back_after_errors():
    first, second = Group(), Group()
    join([first, second])
    with first.held():
        assert held_elsewhere(second)
    assert not held_elsewhere(first)
    with pytest.raises(ZeroDivisionError), second.held():
        _ = 1 / 0
    assert not held_elsewhere(first) and first.root()._depth == 0


def test_a_new_lock_is_free():
    group = Group()
    group.acquire()
    group.renew()
    assert group._depth == 0 and not held_elsewhere(group)


def test_who_waited_for_a_group_that_joined_another_holds_the_one_they_became():
    first, second = Group(), Group()
    begun, got = threading.Event(), []

    def work():
        begun.set()
        got.append(second.acquire())

    second.lock.acquire()
    thread = threading.Thread(target=work)
    thread.start()
    begun.wait(20)
    time.sleep(0.05)
    second._joined = first  # as `join` does, which has the lock
    second.lock.release()
    thread.join(20)
    assert got == [first] and second.lock.acquire(timeout=10)
    second.lock.release()


def test_a_group_that_joined_another_meanwhile_is_not_joined_again():
    first, second, third = (Group() for _ in range(3))
    second._joined = third
    assert locks._join([first, second]) is second and first.root() is first
    assert not held_elsewhere(first)
    assert locks._join([first, third]) is None and third.root() is first
