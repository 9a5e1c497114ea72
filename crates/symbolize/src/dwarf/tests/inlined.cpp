// Templates, methods, lambdas and namespaces inlined into each other; no header, so that any C++ compiler will do.
namespace shapes {

template <typename T, unsigned N> class Ring {
  public:
    void push(T value)
    {
        items[next % N] = value;
        next = advance(next);
    }

    template <typename F> T fold(T start, F each) const
    {
        for (unsigned i = 0; i < N; i++)
            start = each(start, items[i]);
        return start;
    }

  private:
    static unsigned advance(unsigned at) { return at + 1 == 2 * N ? 0 : at + 1; }

    T items[N] = {};
    unsigned next = 0;
};

struct Base {
    virtual ~Base() {}
    virtual long area(long scale) const = 0;
};

struct Square final : Base {
    explicit Square(long side) : side(side) {}
    long area(long scale) const override { return scaled(scale) * scaled(scale); }

  private:
    long scaled(long scale) const
    {
        long out = 0;
        for (long i = 0; i < scale; i++)
            out += side ^ i;
        return out;
    }
    long side;
};

namespace {
inline long clamp(long value, long least, long most) { return value < least ? least : value > most ? most : value; }
} // namespace

__attribute__((noinline)) long sum(const Ring<long, 16> &ring, long limit)
{
    return ring.fold(0, [limit](long total, long each) { return clamp(total + each, -limit, limit); });
}

} // namespace shapes

void operator delete(void *) noexcept {}
void operator delete(void *, unsigned long) noexcept {}
extern "C" void __cxa_pure_virtual() {}

__attribute__((noinline)) static long areas(const shapes::Base &of, int count)
{
    long total = 0;
    for (int i = 0; i < count; i++)
        total += of.area(i);
    return total;
}

int main(int argc, char **)
{
    shapes::Ring<long, 16> ring;
    shapes::Square square(argc);
    for (int i = 0; i < 100 * argc; i++)
        ring.push(areas(square, i & 15));
    return shapes::sum(ring, 1000) == 7;
}
