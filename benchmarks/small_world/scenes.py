"""Scenes of a small world: images from a simple ray caster, whose depth and light are known.

An outdoor scene has a sky, distant hills, and a field with houses, trees and boulders under a sun. An indoor scene is a
room with boxes and balls under a lamp. A scene only depends on its number.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]
FAR = 40.0  # depth of the sky, in units of the camera's height
RAYS = 128  # rays along each axis of a scene; a pixel is the mean of several rays


@dataclass(frozen=True)
class Scene:
    """An image and its depth.

    Attributes:
        clean: (1, 3, S, S) in [0, 1], sRGB.
        depth: (1, 1, S, S), distance along the line of sight divided by the largest distance, in (0, 1].
    """

    clean: Tensor
    depth: Tensor


def scene(number: int, size: int = 64) -> Scene:
    """The scene of this number, ``size`` pixels wide and high; 128 must be a multiple of ``size``."""
    rng = np.random.default_rng([20260, number])
    place = (np.arange(RAYS) + 0.5) / RAYS
    ray = np.stack(np.broadcast_arrays(place[None] - 0.5, place[:, None] - rng.uniform(0.35, 0.55), 0.75), -1)
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    color, depth = _indoors(ray, rng) if rng.random() < 0.4 else _outdoors(ray, rng)
    photo = np.clip(color, 0, 1) ** (1 / 2.2)
    return Scene(_shrunk(photo, size), _shrunk(np.minimum(depth / _farthest(depth), 1)[..., None], size))


def write_photos(folder: Path, count: int, first: int = 0, size: int = 64) -> None:
    """Writes scenes as PNG files, for training a prior of this world."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        pixels = (scene(number, size).clean[0].permute(1, 2, 0).numpy() * 255 + 0.5).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"scene_{number:06d}.png")


def _outdoors(ray: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    sun = _unit(np.array([rng.uniform(-1, 1), -rng.uniform(0.4, 1), rng.uniform(-1, 0.3)]))
    warm = rng.uniform(0, 1)
    sunlight, ambient = np.array([1.0, 0.95 - 0.1 * warm, 0.9 - 0.3 * warm]), np.array([0.3, 0.34, 0.42])
    up = np.clip(-ray[..., 1:2], 0, 1)
    zenith, low = np.array([0.12, 0.28, 0.7]) * rng.uniform(0.6, 1.3), np.array([0.62, 0.72, 0.85])
    color = low + (zenith - low) * np.clip(2.2 * up, 0, 1) ** 0.7
    if rng.random() < 0.5:  # clouds
        cloud = _noise(3 * ray[..., 0] / (up[..., 0] + 0.3), 6 / (up[..., 0] + 0.3), rng)
        color += 0.35 * np.clip(cloud - 0.3, 0, 1)[..., None] * np.clip(4 * up, 0, 1)
    depth = np.full(ray.shape[:2], FAR)
    angle = ray[..., 0] / ray[..., 2]
    for k in range(rng.integers(1, 4)):  # hills, the farthest first
        height = _wave(angle, rng) * rng.uniform(0.03, 0.12) + 0.10 - 0.04 * k
        inside = (-ray[..., 1] / ray[..., 2] < height) & (ray[..., 1] < 0.05)
        hill = _palette(rng, ((0.10, 0.20, 0.06), (0.22, 0.20, 0.08), (0.2, 0.17, 0.14)))
        rough = 1 + 0.35 * _noise(30 * angle, 40 * ray[..., 1], rng)
        lit = ambient + 0.7 * sunlight
        color = np.where(inside[..., None], hill * lit * rough[..., None], color)
        depth = np.where(inside, FAR * (0.75 - 0.12 * k), depth)
    ground = _palette(rng, ((0.13, 0.26, 0.06), (0.30, 0.26, 0.12), (0.34, 0.30, 0.22), (0.2, 0.24, 0.1)))
    things = _things(rng, int(rng.integers(1, 6)), (2.5, 14), 5.0)
    return _cast(ray, [(1, 1.0, ground, rng.choice(["rows", "noise", "plain"]))], things, color, depth,
                 lambda point: (sun, np.ones(point.shape[:-1])), sunlight, ambient, rng)  # fmt: skip


def _indoors(ray: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    wide, tall, deep = rng.uniform(1.2, 2.6), rng.uniform(0.8, 1.6), rng.uniform(3, 6)
    wall = _palette(rng, ((0.6, 0.55, 0.45), (0.45, 0.5, 0.6), (0.6, 0.4, 0.33), (0.4, 0.52, 0.4), (0.65, 0.63, 0.6)))
    floor = _palette(rng, ((0.3, 0.17, 0.08), (0.35, 0.33, 0.3), (0.2, 0.2, 0.25), (0.45, 0.3, 0.18)))
    paper = rng.choice(["stripes", "plain", "plain", "noise"])
    planes = [
        (1, 1.0, floor, rng.choice(["tiles", "rows", "noise"])), (1, -tall, np.full(3, 0.7), "plain"),
        (0, wide, wall, paper), (0, -wide, wall, paper), (2, deep, 0.9 * wall, paper),
    ]  # fmt: skip
    lamp = np.array([rng.uniform(-0.6, 0.6) * wide, -0.8 * tall, rng.uniform(0.4, 0.8) * deep])
    things = _things(rng, int(rng.integers(1, 5)), (1.8, 0.9 * deep), 0.8 * wide)

    def light(point: Array) -> tuple[Array, Array]:
        way = lamp - point
        far = np.linalg.norm(way, axis=-1, keepdims=True)
        return way / far, 2.2 / (1 + 0.5 * far[..., 0] ** 2)

    nothing = np.zeros((*ray.shape[:2], 3)), np.full(ray.shape[:2], FAR)
    return _cast(ray, planes, things, *nothing, light, np.array([1.0, 0.93, 0.8]), np.full(3, 0.22), rng)


def _things(rng: np.random.Generator, count: int, deep: tuple[float, float], wide: float) -> list[tuple]:
    """Random boxes and balls on the ground: kind, center, half sizes, color, texture of each."""
    found = []
    for _ in range(count):
        z = rng.uniform(*deep)
        size = rng.uniform(0.25, 0.9, 3) * (1 + 0.06 * z)
        kind = rng.choice(["box", "ball"])
        if kind == "ball":
            size[:] = size[0]
        center = np.array([rng.uniform(-1, 1) * min(wide, 0.6 * z), 1 - size[1], z])
        colors = (
            (0.6, 0.1, 0.08),
            (0.1, 0.25, 0.55),
            (0.65, 0.5, 0.12),
            (0.1, 0.3, 0.1),
            (0.55, 0.52, 0.48),
            (0.3, 0.15, 0.3),
        )
        found.append((kind, center, size, _palette(rng, colors), rng.choice(["plain", "tiles", "stripes", "noise"])))
    return found


def _cast(ray, planes, things, color, depth, light, lamp, ambient, rng):  # type: ignore[no-untyped-def]
    """Color and depth of the nearest surface along each ray, in the light of one lamp."""
    nearest = depth.copy()
    normal, albedo = np.zeros_like(ray), np.zeros_like(ray)
    for axis, at, tint, texture in planes:
        with np.errstate(divide="ignore", invalid="ignore"):
            far = np.where(ray[..., axis] * at > 1e-6, at / ray[..., axis], np.inf)
        hit = far < nearest
        nearest = np.where(hit, far, nearest)
        point = ray * np.where(np.isfinite(far), far, 0)[..., None]
        faced = np.zeros(3)
        faced[axis] = -np.sign(at)
        flat = [i for i in range(3) if i != axis]
        albedo[hit] = (tint * _texture(texture, point[..., flat[0]], point[..., flat[1]], rng)[..., None])[hit]
        normal[hit] = faced
    for thing in things:
        far, faced = _meet(np.zeros(3), ray, thing)
        hit = far < nearest
        nearest = np.where(hit, far, nearest)
        point = ray * np.where(hit, far, 0)[..., None] - thing[1]
        upward = np.abs(faced[..., 1]) > 0.9
        across = np.where(np.abs(faced[..., 0]) > 0.9, point[..., 2], point[..., 0])
        albedo[hit] = (
            thing[3] * _texture(thing[4], across, np.where(upward, point[..., 2], point[..., 1]), rng)[..., None]
        )[hit]
        normal[hit] = faced[hit]
    surface = (normal != 0).any(-1)
    point = ray * nearest[..., None]
    way, strength = light(point)
    lit = np.clip((normal * way).sum(-1), 0, 1) * strength
    for thing in things:  # shadows
        lit = np.where(_meet(point + 1e-3 * normal, np.broadcast_to(way, ray.shape), thing)[0] < 30, 0.15 * lit, lit)
    shaded = albedo * (ambient + lamp * lit[..., None])
    return np.where(surface[..., None], shaded, color), np.where(surface, nearest, depth)


def _meet(origin: Array, way: Array, thing: tuple) -> tuple[Array, Array]:
    """Distance at which rays hit an object, infinite if they miss it, and the surface normal there."""
    kind, center, half, *_ = thing
    start = origin - center
    if kind == "ball":
        along = (start * way).sum(-1)
        inside = along**2 - ((start**2).sum(-1) - half[0] ** 2)
        far = np.where(inside > 0, -along - np.sqrt(np.maximum(inside, 0)), np.inf)
        far = np.where(far > 1e-4, far, np.inf)
        return far, (start + way * np.where(np.isfinite(far), far, 0)[..., None]) / half[0]
    slope = 1 / np.where(np.abs(way) < 1e-9, 1e-9, way)
    one, two = (-half - start) * slope, (half - start) * slope
    enter, leave = np.minimum(one, two), np.maximum(one, two).min(-1)
    far, axis = enter.max(-1), enter.argmax(-1)
    far = np.where((far < leave) & (far > 1e-4), far, np.inf)
    return far, -np.sign(way) * np.eye(3)[axis]


def _texture(kind: str, a: Array, b: Array, rng: np.random.Generator) -> Array:
    strength, pitch = rng.uniform(0.15, 0.45), rng.uniform(1.2, 3.5)
    if kind == "tiles":
        return 1 - strength * ((np.floor(pitch * a) + np.floor(pitch * b)) % 2)
    if kind in ("stripes", "rows"):
        return 1 - strength * (np.floor(2 * pitch * a) % 2)
    return 1 + strength * _noise(4 * pitch * a, 4 * pitch * b, rng) if kind == "noise" else np.ones_like(a)


def _noise(a: Array, b: Array, rng: np.random.Generator) -> Array:
    """Smooth noise of mean 0, within about ±1: a sum of a few waves in random directions."""
    found = np.zeros_like(a)
    for _ in range(5):
        (turn, phase), pitch = rng.uniform(0, 2 * np.pi, 2), rng.uniform(0.5, 2)
        found = found + np.sin(pitch * (np.cos(turn) * a + np.sin(turn) * b) + phase)
    return found / 3


def _wave(a: Array, rng: np.random.Generator) -> Array:
    return np.sum([np.sin(rng.uniform(2, 9) * a + rng.uniform(0, 6.3)) / k for k in (1, 2, 3)], axis=0)


def _palette(rng: np.random.Generator, colors: tuple[tuple[float, ...], ...]) -> Array:
    return np.array(colors[rng.integers(len(colors))]) * rng.uniform(0.8, 1.25) * rng.uniform(0.9, 1.1, 3)


def _farthest(depth: Array) -> float:
    return FAR if depth.max() >= 0.6 * FAR else float(depth.max())


def _shrunk(picture: Array, size: int) -> Tensor:
    small = picture.reshape(size, RAYS // size, size, RAYS // size, -1).mean((1, 3))
    return torch.from_numpy(small.transpose(2, 0, 1)).float()[None].contiguous()


def _unit(vector: Array) -> Array:
    return vector / np.linalg.norm(vector)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Writes scenes as PNG files, for a prior to be trained on.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=6000)
    parser.add_argument("--size", type=int, default=64, help="in pixels; divides 128")
    chosen = parser.parse_args()
    write_photos(chosen.folder, chosen.count, size=chosen.size)
