package history

import (
	"crypto/sha256"
	"encoding/binary"
)

// Hasher hashes fields in such a way that different lists of fields never have
// the same input.
type Hasher struct{ Buf []byte }

func (h *Hasher) Text(ss ...string) {
	for _, s := range ss {
		h.Buf = binary.AppendUvarint(h.Buf, uint64(len(s)))
		h.Buf = append(h.Buf, s...)
	}
}

func (h *Hasher) Number(n int64) { h.Buf = binary.AppendVarint(h.Buf, n) }

// Sum returns the hash and resets the Hasher.
func (h *Hasher) Sum() Hash {
	sum := sha256.Sum256(h.Buf)
	h.Buf = h.Buf[:0]
	return Hash(sum[:16])
}

// filter is a set of hashes that may contain more than was added (Bloom 1970):
// one in a hundred of half a million others.
type filter [1 << 17]uint64

// bits returns the two positions of a hash, which is already random.
func (f *filter) bits(h Hash) [2]uint64 {
	return [2]uint64{binary.LittleEndian.Uint64(h[:8]) % (64 * uint64(len(f))), binary.LittleEndian.Uint64(h[8:]) % (64 * uint64(len(f)))}
}

func (f *filter) add(h Hash) {
	for _, b := range f.bits(h) {
		f[b/64] |= 1 << (b % 64)
	}
}

func (f *filter) may(h Hash) bool {
	for _, b := range f.bits(h) {
		if f[b/64]&(1<<(b%64)) == 0 {
			return false
		}
	}
	return true
}

// Bitmap is a set of row ids.
type Bitmap struct{ words []uint64 }

// Set adds an id and reports whether it was new.
func (b *Bitmap) Set(id int64) bool {
	w, m := int(id>>6), uint64(1)<<(id&63)
	if w >= len(b.words) {
		b.words = append(b.words, make([]uint64, w-len(b.words)+1)...)
	}
	fresh := b.words[w]&m == 0
	b.words[w] |= m
	return fresh
}

func (b *Bitmap) has(id int64) bool {
	w := int(id >> 6)
	return w < len(b.words) && b.words[w]&(1<<(id&63)) != 0
}
