// A queue for what is mostly empty: it holds no memory before the first entry, and gives back what
// a burst took. A std::deque takes 600 bytes for nothing, and a connection has some twenty queues.
// An insertion makes references and iterators void.
#pragma once
#include <cstddef>
#include <iterator>
#include <memory>
#include <utility>

namespace p2p {

template <class T>
class Fifo {
  template <class Queue, class Value>
  class Walk {
   public:
    using iterator_category = std::random_access_iterator_tag;
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using pointer = Value *;
    using reference = Value &;

    Walk (Queue &queue, std::size_t at) : queue_ (&queue), at_ (at) {}
    Value &operator* () const { return (*queue_)[at_]; }
    Value *operator->() const { return &(*queue_)[at_]; }
    Walk &operator++ () { return *this += 1; }
    Walk &operator-- () { return *this += -1; }
    Walk &operator+= (std::ptrdiff_t by) {
      at_ += static_cast<std::size_t> (by);
      return *this;
    }
    Walk operator+ (std::ptrdiff_t by) const { return Walk (*this) += by; }
    std::ptrdiff_t operator- (const Walk &other) const {
      return static_cast<std::ptrdiff_t> (at_ - other.at_);
    }
    bool operator== (const Walk &other) const { return at_ == other.at_; }
    bool operator!= (const Walk &other) const { return at_ != other.at_; }

   private:
    Queue *queue_;
    std::size_t at_;
  };

 public:
  using iterator = Walk<Fifo, T>;
  using const_iterator = Walk<const Fifo, const T>;

  Fifo () = default;
  Fifo (Fifo &&other) noexcept { swap (other); }
  Fifo &operator= (Fifo &&other) noexcept {
    Fifo taken (std::move (other));
    swap (taken);
    return *this;
  }

  bool empty () const { return count_ == 0; }
  std::size_t size () const { return count_; }
  std::size_t capacity () const { return capacity_; }
  T &operator[] (std::size_t at) { return slots_[slot (at)]; }
  const T &operator[] (std::size_t at) const { return slots_[slot (at)]; }
  T &front () { return (*this)[0]; }
  const T &front () const { return (*this)[0]; }
  T &back () { return (*this)[count_ - 1]; }
  const T &back () const { return (*this)[count_ - 1]; }
  iterator begin () { return {*this, 0}; }
  iterator end () { return {*this, count_}; }
  const_iterator begin () const { return {*this, 0}; }
  const_iterator end () const { return {*this, count_}; }

  void push_back (T entry) {
    make_room ();
    ++count_;
    back () = std::move (entry);
  }
  void push_front (T entry) {
    make_room ();
    first_ = slot (capacity_ - 1);
    ++count_;
    front () = std::move (entry);
  }
  void pop_front () {
    front () = T{};
    first_ = slot (1);
    --count_;
    give_back ();
  }
  void pop_back () {
    back () = T{};
    --count_;
    give_back ();
  }
  // Before the entry that stands there now; moves those of the nearer end.
  void insert (std::size_t at, T entry) {
    if (at < count_ / 2) {
      push_front (std::move (entry));
      for (std::size_t i = 0; i < at; ++i) std::swap ((*this)[i], (*this)[i + 1]);
    } else {
      push_back (std::move (entry));
      for (std::size_t i = count_ - 1; i > at; --i) std::swap ((*this)[i], (*this)[i - 1]);
    }
  }
  // `unwanted` sees each entry once, in order, and may move from what it answers true for.
  template <class Unwanted>
  void remove_if (Unwanted unwanted) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count_; ++i) {
      if (unwanted ((*this)[i])) continue;
      if (kept != i) (*this)[kept] = std::move ((*this)[i]);
      ++kept;
    }
    while (count_ > kept) pop_back ();
  }
  void clear () { Fifo ().swap (*this); }
  void swap (Fifo &other) noexcept {
    std::swap (slots_, other.slots_);
    std::swap (capacity_, other.capacity_);
    std::swap (first_, other.first_);
    std::swap (count_, other.count_);
  }

 private:
  static constexpr std::size_t kFirstCapacity = 4;
  static constexpr std::size_t kKeptCapacity = 16;  // of an empty queue: no burst, but a flow

  // The capacity is a power of two.
  std::size_t slot (std::size_t at) const { return (first_ + at) & (capacity_ - 1); }
  void make_room () {
    if (count_ < capacity_) return;
    const std::size_t more = capacity_ == 0 ? kFirstCapacity : 2 * capacity_;
    auto slots = std::make_unique<T[]> (more);
    for (std::size_t i = 0; i < count_; ++i) slots[i] = std::move ((*this)[i]);
    slots_ = std::move (slots);
    capacity_ = more;
    first_ = 0;
  }
  void give_back () {
    if (count_ == 0 && capacity_ > kKeptCapacity) clear ();
  }

  std::unique_ptr<T[]> slots_;
  std::size_t capacity_ = 0, first_ = 0, count_ = 0;
};

}  // namespace p2p
