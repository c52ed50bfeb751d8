// GELU in both forms, to f32's last places.
const GELU_TANH: u32 = 1u;
const GELU_ERF: u32 = 2u;

// The identity for form 0.
fn gelu(x: f32, form: u32) -> f32 {
    if form == GELU_TANH {
        return gelu_tanh(x);
    }
    if form == GELU_ERF {
        return gelu_erf(x);
    }
    return x;
}

// 0.5 x (1 + tanh u) = x / (1 + exp(-2u)): no cancellation, and no tanh that overflows on some drivers.
fn gelu_tanh(x: f32) -> f32 {
    let u = 0.7978845608028654 * (x + 0.044715 * x * x * x);
    return x / (1.0 + exp(clamp(-2.0 * u, -80.0, 80.0)));
}

fn gelu_erf(x: f32) -> f32 {
    let z = abs(x) * 0.7071067811865476;
    if z < 1.0 {
        return 0.5 * x * (1.0 + sign(x) * erf_small(z));
    }
    let tail = erfc_large(z);
    return 0.5 * x * select(tail, 2.0 - tail, x > 0.0);
}

// erf z for 0 <= z < 1: z times a Chebyshev interpolant of erf(z)/z in u = 2z² - 1; relative error 1.2e-7 in f32.
fn erf_small(z: f32) -> f32 {
    let u = 2.0 * z * z - 1.0;
    var p = -7.552379521769126e-08;
    p = p * u + 1.2316395889833132e-06;
    p = p * u - 1.7536914156845995e-05;
    p = p * u + 0.00021751199063424487;
    p = p * u - 0.00228548561222941;
    p = p * u + 0.019852497722450374;
    p = p * u - 0.14053608902111792;
    p = p * u + 0.9654687386375692;
    return z * p;
}

// erfc z for z >= 1: exp(-z²) times a Chebyshev interpolant of exp(z²) erfc(z) in 1 / (1 + z/2) on [1/4, 2/3] (z up
// to 6, beyond which erfc is 0 beside 1); relative error 2e-6 at z = 6, where erfc is 2e-17, and 3e-7 up to z = 2.
fn erfc_large(z: f32) -> f32 {
    let bounded = min(z, 6.0);
    let u = (1.0 / (1.0 + 0.5 * bounded) - 0.4583333333333333) * 4.8;
    var p = -6.379198076444937e-08;
    p = p * u + 1.6105111626529834e-07;
    p = p * u + 1.9741664662120685e-06;
    p = p * u - 7.338118042721221e-06;
    p = p * u - 8.079029065664046e-05;
    p = p * u + 0.00019713828059224616;
    p = p * u + 0.00558881604339192;
    p = p * u + 0.038560570539554126;
    p = p * u + 0.16189356804579053;
    p = p * u + 0.221429540227636;
    return select(exp(-bounded * bounded) * p, 0.0, z > 6.0);
}
