"""What the light of a scene, as its camera noted it, says for or against haze and darkness."""

from __future__ import annotations

from torch import Tensor

from zeroair_pl.degradations.steps import ramp
from zeroair_pl.photos.exposure import Exposure

GRAY, GAMMA = 0.18, 2.2  # the middle gray of a meter, as a share of white, and the tone of a photo
# Mean luminance of a scene in cd/m². A room with its lamps on has 3 to 20, an overcast morning 25 and more; a street at
# night 0.5 and more, a landscape under the moon 0.02. (Illuminance times reflectance 0.2 over π.)
ROOM, NIGHT = (5.0, 25.0), (0.1, 0.02)
INDOORS = 0.6  # share of the severity of haze that is taken away in the light of a room: there is fog at night, too
FLASHED = 0.75  # the same of darkness, where a flash has lit what is near
LIT = 0.55, 0.70  # brightest values of a photo with nothing lit, and with something lit


def luminance(y: Tensor, exposure: Exposure) -> float | None:
    """The mean luminance of the scene in cd/m², from a photo (1, 3, H, W) in [0, 1]; ``None`` if it is not known.

    The photo shows ``exposure.light`` as a middle gray, so its mean in linear light, divided by 0.18, is the factor.
    """
    if exposure.light is None:
        return None
    weights = y.new_tensor([0.2126, 0.7152, 0.0722]).view(1, 3, 1, 1)
    return exposure.light * float((y.clamp(0, 1) ** GAMMA * weights).sum(1).mean()) / GRAY


def belief(family: str, y: Tensor, brightest: float, exposure: Exposure | None) -> tuple[float, str]:
    """The share, 0 to 1, of the severity of a family that stays, as the camera's notes go, and why it is below 1.

    Fog by day has the light of a day: a pale photo of a room is rather a wall or a page. Beyond the reach of a flash it
    is dark, and a night is dark; neither is underexposed. No set of photos here has such notes, so the limits are those
    of the light itself, and they only make a finding less sure.

    Args:
        family: name of the family; any other than ``Haze`` and ``LowLight`` has 1.
        y: the photo, (1, 3, H, W) in [0, 1].
        brightest: its brightest values, ``bright_999`` of ``statistics``.
        exposure: what the camera noted; ``None`` if it did not.
    """
    if exposure is None:
        return 1.0, ""
    light = luminance(y, exposure)
    taken, why = 0.0, ""
    if family == "Haze" and light is not None and not exposure.flash:
        taken, why = INDOORS * (1 - ramp(light, *ROOM)), "less in the light of a room"
    elif family == "LowLight" and exposure.flash:
        taken, why = FLASHED * ramp(brightest, *LIT), "less beyond a flash"
    elif family == "LowLight" and light is not None:
        taken, why = ramp(light, *NIGHT), "less at night"
    return 1 - taken, why if taken > 0 else ""


def exposure_in_words(y: Tensor, exposure: Exposure) -> str:
    """What the camera noted: ``"exposure of a scene of 320 cd/m², with flash"``."""
    light = luminance(y, exposure)
    scene = "exposure" if light is None else f"exposure of a scene of {light:.3g} cd/m²"
    return f"{scene}, with flash" if exposure.flash else scene
